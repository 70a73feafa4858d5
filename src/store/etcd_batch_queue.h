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

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "base/task_group.h"

namespace sharedlock {

struct EtcdBatchLimits {
  std::size_t batches;  // under way at once
  std::size_t enough;   // requests for a batch beside others that carry no more of them
};

// Gathers requests while others are under way, and sends what has gathered as one. Nothing waits for a timer: while
// nothing is under way a request leaves at once and alone; as soon as a full batch has gathered, or enough and as many
// as are under way, that leaves too. Each caller waits no longer than its own deadline, whatever becomes of those that
// it was sent with. Thread-safe. Everything that is handed in must outlive it, and it must outlive its calls and the
// tasks that it spawns.
//
// `Kind` says what is sent, and how:
//   Item, Answer                                   a request and its answer
//   size_t kFull                                   so many items fill a batch
//   Plan: bool take(const Item&)                   whether it may go with those that were taken before; the first must
//   bool goes_alone(const Item&)
//   Task<Answer> send_alone(Item*, Deadline)
//   Task<optional<vector<Answer>>> send(const vector<Item*>*, Deadline)   [i] for items[i]; nothing: each is to be sent
//                                                  again, alone (Kind has marked those that may have been done)
//   Answer late(const Item&, bool sent)            what a caller is told whose time is up
//   string_view look(const Item&)                  those who don't fit, but look for the same as one that goes, wait
//   for
//                                                  its answer; empty: never
//   optional<Answer> share(const Answer&)          what that answer says to them; nothing: they go after it
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
    auto seat = std::make_shared<Seat>(executor, std::move(item), deadline);
    enqueue(seat);
    co_await seat->called->wait(time_left(clock_, deadline));
    seat->called.reset();
    co_return leave(seat);
  }

 private:
  struct Seat {
    Seat(const Executor& on, Item what, Deadline until)
        : item(std::move(what)), executor(on), deadline(until), called(std::in_place, on) {}

    Item item;
    Executor executor;
    Deadline deadline;
    std::optional<Signal> called;  // the caller, on its executor; not longer than that waits
    bool sent = false;
    bool gone = false;  // the caller has not waited
    bool alone = false;
    std::optional<Answer> answer;
    std::vector<std::shared_ptr<Seat>> followers;  // who were waiting when it left, and look for the same
  };
  using SeatPtr = std::shared_ptr<Seat>;
  using Seats = std::vector<SeatPtr>;

  bool enter_alone() {
    std::scoped_lock lock(mutex_);
    if (under_way_ > 0) return false;
    ++under_way_;
    ++items_under_way_;
    return true;
  }

  void leave_alone() {
    if (goes_on()) background_.spawn(executor_, run());
  }

  // Gives the place of one that has come back to whoever waits, or back.
  bool goes_on() {
    std::scoped_lock lock(mutex_);
    --items_under_way_;
    if (waiting_.empty()) --under_way_;
    return !waiting_.empty();
  }

  void enqueue(const SeatPtr& seat) {
    // Not with the lock held: where this is the executor it begins at once.
    if (add(seat)) background_.spawn(executor_, run());
  }

  bool add(const SeatPtr& seat) {
    std::scoped_lock lock(mutex_);
    waiting_.push_back(seat);
    bool leaves = may_leave() && under_way_ < limits_.batches;
    if (leaves) ++under_way_;
    return leaves;
  }

  // With the lock held, of one that would be under way beside the others: half of some callers then ask etcd while the
  // other half is answered, and with more callers batches are larger.
  bool may_leave() const {
    if (under_way_ == 0 || (!waiting_.empty() && waiting_.front()->alone)) return true;
    return waiting_.size() >= std::min(Kind::kFull, std::max(limits_.enough, items_under_way_));
  }

  // What was answered by now; afterwards nobody touches the caller's things.
  Answer leave(const SeatPtr& seat) {
    std::scoped_lock lock(mutex_);
    if (seat->answer) return *std::move(seat->answer);
    seat->gone = true;
    std::erase(waiting_, seat);
    return kind_.late(seat->item, seat->sent);
  }

  Task<void> run() {
    std::size_t sent = 0;
    for (Seats seats = take(sent); !seats.empty(); seats = take(sent)) {
      sent = seats.size();
      if (seats.size() == 1) {
        Answer answer = co_await kind_.send_alone(&seats[0]->item, seats[0]->deadline);
        std::vector<Answer> answers;
        answers.push_back(std::move(answer));
        tell(seats, answers);
        continue;
      }
      std::vector<Item*> items;
      Deadline last = seats[0]->deadline;
      for (const SeatPtr& seat : seats) {
        items.push_back(&seat->item);
        last.at = std::max(last.at, seat->deadline.at);
      }
      auto answers = co_await kind_.send(&items, last);
      if (answers) {
        tell(seats, *answers);
      } else {
        for (std::size_t more = queue_again(seats); more > 0; --more) background_.spawn(executor_, run());
      }
    }
  }

  // Those that go next, as one, in the place of so many that have come back; none: that place is free.
  Seats take(std::size_t came_back) {
    std::scoped_lock lock(mutex_);
    --under_way_;
    items_under_way_ -= came_back;
    Seats seats;
    if (!may_leave()) return seats;
    typename Kind::Plan plan;
    std::deque<SeatPtr> left;
    std::unordered_map<std::string_view, Seat*> leaders;
    while (!waiting_.empty() && left.size() < kMostPassedOver) {
      SeatPtr next = std::move(waiting_.front());
      waiting_.pop_front();
      bool alone = next->alone || kind_.goes_alone(next->item);
      bool goes = alone ? seats.empty() : plan.take(next->item);
      auto leader = leaders.find(kind_.look(next->item));
      if (goes) {
        next->sent = true;
        if (!kind_.look(next->item).empty()) leaders.emplace(kind_.look(next->item), next.get());
        seats.push_back(std::move(next));
        if (alone) break;
      } else if (leader != leaders.end()) {
        leader->second->followers.push_back(std::move(next));
      } else {
        left.push_back(std::move(next));
      }
    }
    // Who was passed over is the first next time.
    waiting_.insert(waiting_.begin(), std::make_move_iterator(left.begin()), std::make_move_iterator(left.end()));
    if (!seats.empty()) ++under_way_;
    items_under_way_ += seats.size();
    return seats;
  }

  // With the lock held. The followers of one that has its answer: those who share it come to `told`, others wait again.
  void tell_followers(Seat& leader, const std::optional<Answer>& shared, Seats& told) {
    for (SeatPtr& follower : std::exchange(leader.followers, {})) {
      if (follower->gone) continue;
      if (shared.has_value()) {
        follower->answer.emplace(*shared);
        told.push_back(std::move(follower));
      } else {
        waiting_.push_front(std::move(follower));
      }
    }
  }

  void tell(Seats& seats, std::vector<Answer>& answers) {
    std::scoped_lock lock(mutex_);
    Seats followers;
    for (std::size_t i = 0; i < seats.size(); ++i) {
      if (!seats[i]->followers.empty()) tell_followers(*seats[i], kind_.share(answers[i]), followers);
      if (!seats[i]->gone) seats[i]->answer = std::move(answers[i]);
    }
    seats.insert(seats.end(), std::make_move_iterator(followers.begin()), std::make_move_iterator(followers.end()));
    std::erase_if(seats, [](const SeatPtr& seat) { return seat->gone; });
    // One post to each executor. With the mutex held: who sits there can't leave meanwhile, so his executor lives.
    auto place = [](const SeatPtr& seat) { return &seat->executor.context(); };
    std::ranges::sort(seats, {}, place);
    for (auto first = seats.begin(); first != seats.end();) {
      auto end = std::ranges::upper_bound(first, seats.end(), place(*first), {}, place);
      Executor executor = (*first)->executor;
      asio::post(executor, [those = Seats(std::make_move_iterator(first), std::make_move_iterator(end))] {
        for (const SeatPtr& seat : those) {
          if (seat->called) seat->called->raise();
        }
      });
      first = end;
    }
  }

  // Returns how many more may be under way, so that those who now go alone go side by side.
  std::size_t queue_again(Seats& seats) {
    std::scoped_lock lock(mutex_);
    Seats nobody;
    for (const SeatPtr& seat : seats) tell_followers(*seat, std::nullopt, nobody);
    std::erase_if(seats, [](const SeatPtr& seat) { return seat->gone; });
    for (const SeatPtr& seat : seats) {
      seat->alone = true;
      seat->sent = false;
    }
    waiting_.insert(waiting_.begin(), seats.begin(), seats.end());
    std::size_t more = seats.empty() ? 0 : std::min(seats.size() - 1, limits_.batches - under_way_);
    under_way_ += more;
    return more;
  }

  // A long queue of what can't go together is not searched to its end.
  static constexpr std::size_t kMostPassedOver = 256;

  Kind& kind_;
  const EtcdBatchLimits limits_;
  Clock& clock_;
  Executor executor_;
  TaskGroup& background_;
  std::mutex mutex_;
  std::size_t under_way_ = 0;
  std::size_t items_under_way_ = 0;
  std::deque<SeatPtr> waiting_;
};

}  // namespace sharedlock
