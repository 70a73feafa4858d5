#include "queue/wait_queues.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/sha256.h"

namespace sharedlock {

namespace {

constexpr std::size_t kWorkers = 16;
std::string server_mark() {
  return sha256_hex(std::to_string(random_bits())).substr(0, 16);
}

EntrySight see_entry(const Entry& entry) {
  auto queued = parse_queue_entry(entry.value);
  if (!queued) return {};
  Identity waiter = identity_of(*queued);
  auto parts = static_cast<std::uint8_t>(std::min<std::size_t>(queued->names.size(), kMostInSet + 1));
  return {.waiter = std::move(waiter), .server = std::move(queued->server), .parts = parts, .since = queued->since};
}

}  // namespace

WaitQueues::Waiter::~Waiter() {
  if (state_) queues_->leave(*state_);
}

std::function<void()> WaitQueues::Waiter::disconnect() const {
  return [state = state_] {
    state->disconnected = true;
    state->signal.raise();
  };
}

WaitQueues::WaitQueues(WaitQueuesOptions options, LeaseStore& store, Clock& clock, Log& log)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      log_(log),
      server_(server_mark()),
      queue_state_(server_, [this](const Entry& entry) { return options_.see_lock(entry); }, see_entry) {}

WaitQueues::~WaitQueues() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    if (executor_) asio::post(*executor_, [time = time_] { time->raise(); });
    if (!removes_.empty()) {
      ++workers_;
      tasks_.spawn(*executor_, work());
    }
  }
  following_.clear();
  tasks_.join();
}

WaitQueues::Waiter WaitQueues::enter(Executor executor, std::vector<std::string> names, const std::string& owner,
                                     const std::string& instance, std::chrono::nanoseconds keep_place) {
  auto state = std::make_shared<Waiter::State>(executor);
  state->keep_place = keep_place;
  QueueEntry entry{.owner = owner,
                   .instance = instance.empty() ? std::string() : sha256_hex(instance),
                   .server = server_,
                   .names = std::move(names)};
  state->entry = to_json(entry);
  state->entry.shrink_to_fit();
  std::vector<QueuePart> parts;
  parts.reserve(entry.names.size());
  for (const std::string& name : entry.names) parts.push_back(options_.part_of(name));

  std::scoped_lock lock(mutex_);
  if (!drained_) {
    begin(executor);
    auto back = QueueState::Back::no;
    if (keep_place > keep_place.zero())
      back = store_.is_shared() ? QueueState::Back::from_anywhere : QueueState::Back::here;
    state->id = queue_state_.add(std::move(parts), identity_of(entry), back);
    waiters_[state->id] = state;
    carry_out();
  }
  return Waiter(*this, std::move(state));
}

void WaitQueues::give_up(const std::vector<std::string>& names, const std::string& owner, const std::string& instance) {
  if (!in_use()) return;
  Identity identity =
      identity_of(QueueEntry{.owner = owner, .instance = sha256_hex(instance), .server = {}, .names = {}});
  std::vector<std::string> locks;
  locks.reserve(names.size());
  for (const std::string& name : names) locks.push_back(options_.part_of(name).lock);
  std::scoped_lock lock(mutex_);
  queue_state_.advance(clock_.boot_now());
  queue_state_.give_up(locks, identity);
  carry_out();
}

// Lock held.
void WaitQueues::begin(Executor executor) {
  queue_state_.advance(clock_.boot_now());
  if (executor_) return;
  executor_ = executor;
  in_use_ = true;
  time_ = std::make_shared<AsyncEvent>(executor);
  tasks_.spawn(executor, keep_time());
  for (const std::string& prefix : options_.followed) {
    following_.push_back(store_.follow(prefix, [this](const WatchEvent& event) { on_event(event); }));
  }
}

void WaitQueues::leave(Waiter::State& state) {
  std::scoped_lock lock(mutex_);
  waiters_.erase(state.id);
  queue_state_.advance(clock_.boot_now());
  queue_state_.keep(state.id, state.may_come_back ? state.keep_place : state.keep_place.zero());
  carry_out();
}

Task<Result<WaitQueues::Next>> WaitQueues::next(Waiter& waiter, BootTime until, BootTime pause) {
  Waiter::State& state = *waiter.state_;
  std::optional<Error> unjoined;
  for (;;) {
    std::optional<QueueState::Step> step;
    std::optional<WaitEnd> drained;
    {
      std::scoped_lock lock(mutex_);
      step = std::exchange(state.step, std::nullopt);
      drained = drained_;
    }
    state.may_come_back = state.disconnected;
    if (state.disconnected) co_return WaitEnd::disconnected;
    if (drained) {
      state.may_come_back = store_.is_shared();
      co_return *drained;
    }
    if (step == QueueState::Step::superseded) co_return WaitEnd::superseded;
    if (step && step != QueueState::Step::join) co_return Turn(*this, state.id, *step);
    BootTime now = clock_.boot_now();
    bool time_up = now >= until;
    if (!time_up && now >= pause) {
      std::scoped_lock lock(mutex_);
      if (!state.step) state.step = step;  // it is still to join
      co_return Pause();
    }
    if (time_up && unjoined) co_return *unjoined;
    state.may_come_back = time_up;
    if (time_up) co_return TimeUp(*this, state.id);
    if (step == QueueState::Step::join) {
      unjoined = co_await join(waiter);
    } else {
      co_await state.signal.wait(time_left(clock_, Deadline(std::min(until, pause))));
    }
  }
}

// One try. next() repeats it without limit, since a waiter has time.
Task<std::optional<Error>> WaitQueues::join(Waiter& waiter) {
  Waiter::State& state = *waiter.state_;
  Transaction transaction;
  Joining joining;
  {
    std::scoped_lock lock(mutex_);
    joining = put_join(transaction, state);
  }
  auto outcome = co_await store_.commit(std::move(transaction), soon());
  auto stands = outcome ? stands_at(*outcome, joining) : std::nullopt;
  // Also after a lost race: what is there is known only once the watch has told it.
  if (!stands) co_await state.signal.wait(kRest);
  std::scoped_lock lock(mutex_);
  queue_state_.advance(clock_.boot_now());
  if (stands) {
    queue_state_.joined(state.id, *stands);
  } else {
    queue_state_.not_joined(state.id, /*unanswered=*/!outcome);
  }
  carry_out();
  if (!outcome) co_return outcome.error();
  co_return std::nullopt;
}

// Lock held.
WaitQueues::Joining WaitQueues::put_join(Transaction& transaction, const Waiter::State& state) {
  QueueState::Join join = queue_state_.join_of(state.id);
  Joining joining{.waiter = state.id,
                  .value = join.since == kAbsent ? state.entry : joined_again(state.entry, join.since),
                  .begin = transaction.expect.size(),
                  .count = join.entries.size()};
  for (const std::string& entry : join.entries) {
    transaction.expect.push_back({entry, join.expected});
    transaction.changes.emplace_back(Put{entry, joining.value, SessionLease{}});
  }
  for (const QueueState::Left& left : join.left) {
    transaction.expect.push_back({left.entry, left.revision});
    transaction.changes.emplace_back(Erase{left.entry});
  }
  return joining;
}

// The revision at which all its entries stand, put by this try or by an earlier one that had no answer.
std::optional<Revision> WaitQueues::stands_at(const Outcome& outcome, const Joining& joining) {
  if (auto* committed = std::get_if<Committed>(&outcome)) return committed->revision;
  std::span current(std::get<Conflict>(outcome).current);
  current = current.subspan(joining.begin, joining.count);
  const auto& first = current.front();
  bool all = std::ranges::all_of(current, [&](const std::optional<Entry>& one) {
    return one && one->value == joining.value && one->revision == first->revision;
  });
  return all ? std::optional(first->revision) : std::nullopt;
}

QueueState::Join WaitQueues::entries_of(const Waiter& waiter) const {
  std::scoped_lock lock(mutex_);
  return queue_state_.entries_of(waiter.state_->id);
}

bool WaitQueues::may_take_yet(const Waiter& waiter) const {
  std::scoped_lock lock(mutex_);
  return queue_state_.may_take_yet(waiter.state_->id);
}

// A try may be under way if an exception, or the end of the executor, ends its turn.
WaitQueues::Turn::~Turn() {
  if (queues_) refused(QueueState::EntryFate::unknown);
}

QueueState::Join WaitQueues::Turn::entries() const {
  std::scoped_lock lock(queues_->mutex_);
  return queues_->queue_state_.entries_of(waiter_);
}

void WaitQueues::Turn::took(Revision revision) {
  WaitQueues& queues = end();
  std::scoped_lock lock(queues.mutex_);
  queues.waiters_.erase(waiter_);
  queues.queue_state_.finished(waiter_, revision);
  queues.carry_out();
}

void WaitQueues::Turn::refused(QueueState::EntryFate entries, const std::vector<Seen>& seen) {
  WaitQueues& queues = end();
  std::scoped_lock lock(queues.mutex_);
  for (const Seen& one : seen) {
    queues.queue_state_.saw(queues.options_.part_of(one.name).lock, one.entry, one.as_of, one.look_again);
  }
  queues.queue_state_.advance(queues.clock_.boot_now());
  queues.queue_state_.tried(waiter_, entries);
  queues.carry_out();
}

// A try that can't happen any more either has happened, or has left the entries there: the watch tells which.
void WaitQueues::Turn::failed(Errc why) {
  refused(may_happen_yet(why) ? QueueState::EntryFate::unknown : QueueState::EntryFate::there);
}

void WaitQueues::Turn::leave() {
  end();
}

WaitQueues& WaitQueues::Turn::end() {
  check_invariant(queues_ != nullptr, "a waiter's turn ends twice");
  return *std::exchange(queues_, nullptr);
}

void WaitQueues::drain(WaitEnd why) {
  std::scoped_lock lock(mutex_);
  if (!drained_) drained_ = why;
  for (auto& [id, state] : waiters_) {
    asio::post(state->executor, [one = state] { one->signal.raise(); });
  }
}

void WaitQueues::refused_by_queue(Executor executor, const std::string& name) {
  std::scoped_lock lock(mutex_);
  if (drained_) return;
  begin(executor);
  queue_state_.look_after(options_.part_of(name));
  carry_out();
}

bool WaitQueues::is_occupied(const std::string& name) const {
  std::scoped_lock lock(mutex_);
  return executor_ && queue_state_.is_occupied(options_.part_of(name).lock);
}

std::optional<Entry> WaitQueues::holder_of(const std::string& name) const {
  std::scoped_lock lock(mutex_);
  return queue_state_.holder_of(options_.part_of(name).lock);
}

std::size_t WaitQueues::ahead_of(const Waiter& waiter) const {
  std::scoped_lock lock(mutex_);
  return queue_state_.ahead_of(waiter.state_->id);
}

std::vector<std::string> WaitQueues::blockers_of(const Waiter& waiter) const {
  std::scoped_lock lock(mutex_);
  return queue_state_.blockers_of(waiter.state_->id);
}

std::size_t WaitQueues::waiters() const {
  std::scoped_lock lock(mutex_);
  return waiters_.size();
}

// On a thread of the store.
void WaitQueues::on_event(const WatchEvent& event) {
  std::scoped_lock lock(mutex_);
  queue_state_.advance(clock_.boot_now());
  if (std::holds_alternative<Snapshot>(event)) queue_state_.reset();
  if (auto* batch = std::get_if<ChangeBatch>(&event)) queue_state_.changed(*batch);
  carry_out();
}

// Lock held: hands the effects of QueueState to the waiters and chores that carry them out.
void WaitQueues::carry_out() {
  for (auto& effect : queue_state_.take_effects()) {
    if (auto* wake = std::get_if<QueueState::Wake>(&effect)) {
      auto waiter = waiters_.find(wake->waiter);
      if (waiter == waiters_.end()) continue;
      waiter->second->step = wake->step;
      asio::post(waiter->second->executor, [state = waiter->second] { state->signal.raise(); });
    } else if (auto* load = std::get_if<QueueState::Load>(&effect)) {
      loads_.push_back(std::move(load->part));
    } else if (auto* remove = std::get_if<QueueState::Remove>(&effect)) {
      removes_.push_back(std::move(*remove));
    } else if (auto* evict = std::get_if<QueueState::Evict>(&effect)) {
      evicts_.push_back(std::move(*evict));
    } else {
      rejoin_due_ = true;
    }
  }
  if (!executor_ || stopping_) return;
  std::size_t work = loads_.size() + removes_.size() + evicts_.size() + (rejoin_due_ ? 1 : 0);
  for (; work > 0 && workers_ < kWorkers; --work) {
    ++workers_;
    tasks_.spawn(*executor_, this->work());
  }
  if (queue_state_.next_due() < alarm_) {
    alarm_ = queue_state_.next_due();
    asio::post(*executor_, [time = time_] { time->raise(); });
  }
}

}  // namespace sharedlock
