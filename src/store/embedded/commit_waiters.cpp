#include "store/embedded/commit_waiters.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <vector>

namespace sharedlock {

namespace {

// Then other coroutines on that thread get their turn: a big batch must not delay a later request.
constexpr std::size_t kResumedAtOnce = 256;

// Waiters on one executor, on the way to it. An io_context that is destroyed meanwhile drops them.
class Group {
 public:
  Group() = default;
  Group(Group&&) noexcept = default;
  Group& operator=(Group&&) = delete;
  ~Group() {
    waiters_.clear_and_dispose([](CommitWaiter* waiter) { waiter->drop(); });
  }

  void add(CommitWaiter& waiter) { waiters_.push_back(waiter); }
  bool is_on(const Executor& executor) const { return waiters_.front().executor() == executor; }

  // Resumes them by one post at a time. Not when it is empty.
  static void post(Group group, CommitFate fate) {
    Executor executor = group.waiters_.front().executor();
    asio::post(executor, [group = std::move(group), fate]() mutable { resume_some(std::move(group), fate); });
  }

 private:
  static void resume_some(Group group, CommitFate fate) {
    for (std::size_t resumed = 0; resumed < kResumedAtOnce && !group.waiters_.empty(); ++resumed) {
      CommitWaiter& waiter = group.waiters_.front();
      group.waiters_.pop_front();
      waiter.resume(fate);
    }
    if (!group.waiters_.empty()) post(std::move(group), fate);
  }

  boost::intrusive::slist<CommitWaiter, boost::intrusive::cache_last<true>, boost::intrusive::constant_time_size<false>>
      waiters_;
};

// At most one group per I/O thread.
Group& group_for(const CommitWaiter& waiter, std::vector<Group>& groups) {
  auto found = std::ranges::find_if(groups, [&](const Group& group) { return group.is_on(waiter.executor()); });
  return found == groups.end() ? groups.emplace_back() : *found;
}

}  // namespace

CommitWaiters::~CommitWaiters() {
  by_deadline_.clear_and_dispose([](CommitWaiter* waiter) { waiter->drop(); });
}

void CommitWaiters::add(CommitWaiter& waiter) {
  // Most arrive in order of deadline.
  by_deadline_.insert(by_deadline_.end(), waiter);
}

BootTime CommitWaiters::first_deadline() const {
  return by_deadline_.empty() ? BootTime::max() : by_deadline_.begin()->give_up_at();
}

CommitWaiters CommitWaiters::take_late(BootTime now, std::size_t most) {
  CommitWaiters late;
  for (std::size_t taken = 0; taken < most && !by_deadline_.empty() && first_deadline() <= now; ++taken) {
    CommitWaiter& waiter = *by_deadline_.begin();
    by_deadline_.erase(by_deadline_.begin());
    late.add(waiter);
  }
  return late;
}

void CommitWaiters::resume(CommitFate fate) {
  std::vector<Group> groups;
  by_deadline_.clear_and_dispose([&groups](CommitWaiter* waiter) { group_for(*waiter, groups).add(*waiter); });
  for (Group& group : groups) Group::post(std::move(group), fate);
}

}  // namespace sharedlock
