#include "store/etcd/lease/keyed_mutex.h"

namespace sharedlock {

Task<KeyedMutex::Turn> KeyedMutex::take(LeaseId id) {
  auto enlist = [this, id](Waiting<bool> waiting) { this->enlist(id, std::move(waiting)); };
  co_await wait_on<bool>(enlist);
  co_return Turn(*this, id);
}

void KeyedMutex::enlist(LeaseId id, Waiting<bool> waiting) {
  {
    std::scoped_lock lock(mutex_);
    auto [found, first] = waiting_.try_emplace(id);
    if (!first) {
      found->second.push_back(std::move(waiting));
      return;
    }
  }
  waiting.resume(true);
}

void KeyedMutex::end(LeaseId id) {
  Waiting<bool> next;
  {
    std::scoped_lock lock(mutex_);
    auto found = waiting_.find(id);
    if (found->second.empty()) {
      waiting_.erase(found);
      return;
    }
    next = std::move(found->second.front());
    found->second.pop_front();
  }
  next.resume(true);
}

}  // namespace sharedlock
