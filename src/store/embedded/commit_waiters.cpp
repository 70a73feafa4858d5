#include "store/embedded/commit_waiters.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <vector>

namespace sharedlock {

namespace {

using Group = std::vector<std::unique_ptr<CommitWaiter>>;

// Then other coroutines on that thread get their turn: a big batch must not delay a later request.
constexpr std::size_t kResumedAtOnce = 256;

void resume_some(Group group, std::size_t from, CommitFate fate) {
  std::size_t end = std::min(group.size(), from + kResumedAtOnce);
  for (std::size_t i = from; i < end; ++i) {
    group[i]->resume(fate);
    group[i].reset();
  }
  if (end == group.size()) return;
  Executor executor = group[end]->executor();
  asio::post(executor, [group = std::move(group), end, fate]() mutable { resume_some(std::move(group), end, fate); });
}

// At most one group per I/O thread.
Group& group_for(const CommitWaiter& waiter, std::vector<Group>& groups) {
  auto is_its = [&](const Group& group) {
    return &group.front()->executor().context() == &waiter.executor().context();
  };
  auto found = std::ranges::find_if(groups, is_its);
  return found == groups.end() ? groups.emplace_back() : *found;
}

}  // namespace

CommitWaiters::~CommitWaiters() {
  by_deadline_.clear_and_dispose([](CommitWaiter* waiter) { std::unique_ptr<CommitWaiter> dropped(waiter); });
}

void CommitWaiters::add(std::unique_ptr<CommitWaiter> waiter) {
  // Most arrive in order of deadline.
  by_deadline_.insert(by_deadline_.end(), *waiter.release());
}

BootTime CommitWaiters::first_deadline() const {
  return by_deadline_.empty() ? BootTime::max() : by_deadline_.begin()->give_up_at();
}

CommitWaiters CommitWaiters::take_late(BootTime now, std::size_t most) {
  CommitWaiters late;
  for (std::size_t taken = 0; taken < most && !by_deadline_.empty() && first_deadline() <= now; ++taken) {
    CommitWaiter& waiter = *by_deadline_.begin();
    by_deadline_.erase(by_deadline_.begin());
    late.add(std::unique_ptr<CommitWaiter>(&waiter));
  }
  return late;
}

void CommitWaiters::resume(CommitFate fate) {
  std::vector<Group> groups;
  by_deadline_.clear_and_dispose([&groups](CommitWaiter* taken) {
    std::unique_ptr<CommitWaiter> waiter(taken);
    Group& group = group_for(*waiter, groups);
    group.push_back(std::move(waiter));
  });
  for (Group& group : groups) {
    Executor executor = group.front()->executor();
    asio::post(executor, [group = std::move(group), fate]() mutable { resume_some(std::move(group), 0, fate); });
  }
}

}  // namespace sharedlock
