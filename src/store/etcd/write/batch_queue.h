#pragma once

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/answer_slot.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/task.h"
#include "base/task_group.h"

namespace sharedlock {

struct EtcdBatchLimits {
  std::size_t batches;  // under way at once
  std::size_t enough;   // requests that make a batch worth sending while no more than that are under way
};

// Gathers requests while others are under way, and sends the gathered ones as one batch. Nothing waits for a timer:
// while nothing is under way, a request is sent at once and alone. Otherwise a batch is sent as soon as it is full, or
// has enough requests and as many as are under way. No caller waits past its own deadline, whatever happens to the rest
// of its batch. Thread-safe. Everything that is passed in must outlive it, and it must outlive its calls and the tasks
// that it spawns.
//
// `Kind` says what is sent, and how:
//   Item, Answer                                   a request and its answer
//   size_t kFull                                   how many items fill a batch
//   Plan: bool take(const Item&)                   adds an item if it may go with those before; must add the first
//   bool goes_alone(const Item&)
//   Task<Answer> send_alone(Item*, Deadline)
//   Task<optional<vector<Answer>>> send(const vector<Item*>*, Deadline)   [i] for items[i]; nothing: send each again,
//                                                  alone (Kind has marked those that may have been done)
//   Answer late(const Item&, bool sent)            the answer to a caller that has reached its deadline
//   string_view look(const Item&)                  what it looks for: an item that doesn't fit, but looks for the same
//                                                  as one that is sent, waits for the answer to that one; empty: it
//                                                  looks for nothing that can be shared
//   optional<Answer> share(const Answer&)          that answer for the items that waited; nothing: they are sent next
template <class Kind>
class EtcdBatchQueue {
 public:
  using Item = typename Kind::Item;
  using Answer = typename Kind::Answer;

  EtcdBatchQueue(Kind& kind, EtcdBatchLimits limits, Clock& clock, Executor executor, TaskGroup& background)
      : kind_(kind), limits_(limits), clock_(clock), executor_(executor), background_(background) {}

  Task<Answer> submit(Item item, Deadline deadline) {
    if (enter_alone()) {
      Answer answer = co_await kind_.send_alone(&item, deadline);
      leave_alone();
      co_return answer;
    }
    auto executor = co_await asio::this_coro::executor;
    auto waiter = std::make_shared<Waiter>(executor, deadline, std::move(item));
    enqueue(waiter);
    co_await waiter->wait(clock_);
    waiter->waited();
    co_return leave(waiter);
  }

  // Ends the process if the waiting requests and those under way are inconsistent. Looks at everything. In Debug builds
  // each request does so on arrival, and after waiting, at the pace of CheckPace.
  void check_invariants() const {
    std::scoped_lock lock(mutex_);
    check_all();
  }

 private:
  struct Waiter : AnswerSlot<Answer> {
    Waiter(const Executor& on, Deadline until, Item&& what) : AnswerSlot<Answer>(on, until), item(std::move(what)) {}

    Item item;
    bool sent = false;
    bool gone = false;  // the caller no longer waits
    bool alone = false;
    std::vector<std::shared_ptr<Waiter>> followers;  // they waited when it was sent, and look for the same
  };
  using WaiterPtr = std::shared_ptr<Waiter>;
  using Waiters = std::vector<WaiterPtr>;

  // The first request of a batch for each thing that is looked for. Read only when a request does not fit: in most
  // batches all do.
  class Leaders {
   public:
    // Null: no request of `batch`, which has only grown, looks for the same.
    Waiter* of(Kind& kind, const Item& item, const Waiters& batch) {
      for (; known_ < batch.size(); ++known_) first_.try_emplace(kind.look(batch[known_]->item), batch[known_].get());
      std::string_view look = kind.look(item);
      auto found = look.empty() ? first_.end() : first_.find(look);
      return found == first_.end() ? nullptr : found->second;
    }

   private:
    std::size_t known_ = 0;
    std::unordered_map<std::string_view, Waiter*> first_;
  };

  bool enter_alone() {
    std::scoped_lock lock(mutex_);
    check_in_turn();
    if (under_way_ > 0) return false;
    ++under_way_;
    ++items_under_way_;
    return true;
  }

  void leave_alone() {
    if (goes_on()) background_.spawn(executor_, run());
  }

  // A request that was sent alone has its answer: its place goes to waiting requests (true), or is free again.
  bool goes_on() {
    std::scoped_lock lock(mutex_);
    --items_under_way_;
    if (waiting_.empty()) --under_way_;
    return !waiting_.empty();
  }

  void enqueue(const WaiterPtr& waiter) {
    // Not with the lock held: called on `executor_`, spawn() starts the task at once.
    if (add(waiter)) background_.spawn(executor_, run());
  }

  bool add(const WaiterPtr& waiter) {
    std::scoped_lock lock(mutex_);
    waiting_.push_back(waiter);
    bool leaves = may_leave() && under_way_ < limits_.batches;
    if (leaves) ++under_way_;
    return leaves;
  }

  // Whether a batch may be sent now, beside those under way. Called with the lock held. With few callers, half ask etcd
  // while the other half is answered; with more callers batches are larger.
  bool may_leave() const {
    if (under_way_ == 0 || (!waiting_.empty() && waiting_.front()->alone)) return true;
    return waiting_.size() >= std::min(Kind::kFull, std::max(limits_.enough, items_under_way_));
  }

  // The answer if there is one by now, else late(); afterwards nothing touches what belongs to the caller.
  Answer leave(const WaiterPtr& waiter) {
    std::scoped_lock lock(mutex_);
    check_in_turn();
    if (waiter->answer) return *std::move(waiter->answer);
    waiter->gone = true;
    std::erase(waiting_, waiter);
    return kind_.late(waiter->item, waiter->sent);
  }

  Task<void> run() {
    std::size_t sent = 0;
    for (Waiters waiters = take(sent); !waiters.empty(); waiters = take(sent)) {
      sent = waiters.size();
      if (waiters.size() == 1) {
        Answer answer = co_await kind_.send_alone(&waiters[0]->item, waiters[0]->deadline);
        std::vector<Answer> answers;
        answers.push_back(std::move(answer));
        tell(waiters, answers);
        continue;
      }
      std::vector<Item*> items;
      Deadline last = waiters[0]->deadline;
      for (const WaiterPtr& waiter : waiters) {
        items.push_back(&waiter->item);
        last.at = std::max(last.at, waiter->deadline.at);
      }
      auto answers = co_await kind_.send(&items, last);
      if (answers) {
        tell(waiters, *answers);
      } else {
        for (std::size_t more = queue_again(waiters); more > 0; --more) background_.spawn(executor_, run());
      }
    }
  }

  // The requests to send next, as one batch, in the place of `came_back` answered ones; none: that place is free.
  Waiters take(std::size_t came_back) {
    std::scoped_lock lock(mutex_);
    --under_way_;
    items_under_way_ -= came_back;
    Waiters waiters;
    if (!may_leave()) return waiters;
    typename Kind::Plan plan;
    Waiters left;
    Leaders leaders;
    while (!waiting_.empty() && left.size() < kMostPassedOver) {
      WaiterPtr next = std::move(waiting_.front());
      waiting_.pop_front();
      bool alone = next->alone || kind_.goes_alone(next->item);
      bool goes = alone ? waiters.empty() : plan.take(next->item);
      if (goes) {
        next->sent = true;
        waiters.push_back(std::move(next));
        if (alone) break;
      } else if (Waiter* leader = leaders.of(kind_, next->item, waiters)) {
        leader->followers.push_back(std::move(next));
      } else {
        left.push_back(std::move(next));
      }
    }
    // Requests that were passed over come first next time.
    waiting_.insert(waiting_.begin(), std::make_move_iterator(left.begin()), std::make_move_iterator(left.end()));
    if (!waiters.empty()) ++under_way_;
    items_under_way_ += waiters.size();
    return waiters;
  }

  // With the lock held. Followers of an answered request: with a shared answer they go to `told`, else they wait again.
  void tell_followers(Waiter& leader, const std::optional<Answer>& shared, Waiters& told) {
    for (WaiterPtr& follower : std::exchange(leader.followers, {})) {
      if (follower->gone) continue;
      if (shared.has_value()) {
        follower->answer.emplace(*shared);
        told.push_back(std::move(follower));
      } else {
        waiting_.push_front(std::move(follower));
      }
    }
  }

  void tell(Waiters& waiters, std::vector<Answer>& answers) {
    std::scoped_lock lock(mutex_);
    Waiters followers;
    for (std::size_t i = 0; i < waiters.size(); ++i) {
      if (!waiters[i]->followers.empty()) tell_followers(*waiters[i], kind_.share(answers[i]), followers);
      if (!waiters[i]->gone) waiters[i]->answer = std::move(answers[i]);
    }
    waiters.insert(waiters.end(), std::make_move_iterator(followers.begin()), std::make_move_iterator(followers.end()));
    std::erase_if(waiters, [](const WaiterPtr& waiter) { return waiter->gone; });
    // One post per executor, with the mutex held as AnswerSlot requires.
    auto place = [](const WaiterPtr& waiter) { return &waiter->executor.context(); };
    std::ranges::sort(waiters, {}, place);
    for (auto first = waiters.begin(); first != waiters.end();) {
      auto end = std::ranges::upper_bound(first, waiters.end(), place(*first), {}, place);
      Executor executor = (*first)->executor;
      asio::post(executor, [those = Waiters(std::make_move_iterator(first), std::make_move_iterator(end))] {
        for (const WaiterPtr& waiter : those) waiter->wake();
      });
      first = end;
    }
  }

  // Queues them to be sent alone. Returns how many more may be under way, so that these requests go side by side.
  std::size_t queue_again(Waiters& waiters) {
    std::scoped_lock lock(mutex_);
    Waiters nobody;
    for (const WaiterPtr& waiter : waiters) tell_followers(*waiter, std::nullopt, nobody);
    std::erase_if(waiters, [](const WaiterPtr& waiter) { return waiter->gone; });
    for (const WaiterPtr& waiter : waiters) {
      waiter->alone = true;
      waiter->sent = false;
    }
    waiting_.insert(waiting_.begin(), waiters.begin(), waiters.end());
    std::size_t more = waiters.empty() ? 0 : std::min(waiters.size() - 1, limits_.batches - under_way_);
    under_way_ += more;
    return more;
  }

  // With the lock held, as below.
  void check_in_turn() {
    if (pace_.due([this] { return waiting_.size(); })) check_all();
  }

  void check_all() const {
    check_invariant(under_way_ <= limits_.batches, "batch queue: more batches are under way than may be");
    check_invariant(under_way_ > 0 || items_under_way_ == 0, "batch queue: requests are under way in no batch");
    check_invariant(under_way_ > 0 || waiting_.empty(), "batch queue: requests wait while nothing is under way");
    for (const WaiterPtr& waiter : waiting_) {
      check_invariant(waiter && !waiter->sent && !waiter->answer, "batch queue: a request waits that was sent");
      check_invariant(!waiter->gone, "batch queue: a request waits of a caller that no longer does");
      check_invariant(waiter->followers.empty(), "batch queue: a request waits, and others wait for its answer");
    }
  }

  // A long queue of requests that can't go together is not searched to its end.
  static constexpr std::size_t kMostPassedOver = 256;

  Kind& kind_;
  const EtcdBatchLimits limits_;
  Clock& clock_;
  Executor executor_;
  TaskGroup& background_;
  mutable std::mutex mutex_;
  std::size_t under_way_ = 0;
  std::size_t items_under_way_ = 0;
  std::deque<WaiterPtr> waiting_;
  CheckPace pace_;
};

}  // namespace sharedlock
