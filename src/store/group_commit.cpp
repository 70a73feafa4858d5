#include "store/group_commit.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

namespace sharedlock {

namespace {

GroupCommit::Ticket after(GroupCommit::Ticket ticket) {
  return GroupCommit::Ticket{static_cast<std::uint64_t>(ticket) + 1};
}

// How often those who wait are looked at for deadlines that have passed: a disk that hangs makes nobody wait longer
// than his deadline and this.
constexpr std::chrono::milliseconds kDeadlineCheck{50};

// How much may gather before is_behind(): about 250,000 changes of the usual size.
constexpr std::size_t kMostGathered = 64 << 20;

// Roughly the memory that it takes until it is written.
std::size_t bytes_of(const JournalBatch& added) {
  std::size_t bytes = sizeof(ChangeBatch);
  for (const JournalWrite& write : added.writes) {
    bytes += sizeof(JournalWrite);
    if (auto* put = std::get_if<KeyedEntry>(&write)) bytes += put->first.size() + put->second.value.size();
  }
  return bytes;
}

}  // namespace

// A coroutine that waits for a batch: type-erased, since what Asio hands in can only be moved.
class GroupCommit::Waiter {
 public:
  Waiter(Executor executor, Deadline deadline) : executor_(executor), work_(executor), deadline_(deadline) {}
  virtual ~Waiter() = default;
  virtual void resume(Fate fate) = 0;  // on its executor

  const Executor& executor() const { return executor_; }
  const void* context() const { return &executor_.context(); }
  bool is_late(BootTime now) const { return deadline_.at <= now; }

 private:
  Executor executor_;
  asio::executor_work_guard<Executor> work_;  // its io_context must not run dry meanwhile
  Deadline deadline_;
};

template <class Handler>
class GroupCommit::HandlerWaiter final : public GroupCommit::Waiter {
 public:
  HandlerWaiter(Executor executor, Deadline deadline, Handler handler)
      : Waiter(executor, deadline), handler_(std::move(handler)) {}
  void resume(Fate fate) override { std::move(handler_)(fate); }

 private:
  Handler handler_;
};

struct GroupCommit::Batch {
  explicit Batch(Ticket number) : ticket(number) {}

  Ticket ticket;
  JournalBatch writes;
  std::vector<ChangeBatch> changes;
  Revision last{};  // of the changes in it; kAbsent: none
  std::size_t bytes = 0;
  bool has_changes = false;
  Waiters waiters;
};

GroupCommit::GroupCommit(std::unique_ptr<Journal> journal, Revision durable, Clock& clock, Listener& listener)
    : journal_(std::move(journal)),
      clock_(clock),
      listener_(listener),
      durable_revision_(durable),
      gathering_(std::make_unique<Batch>(Ticket{1})),
      writer_([this] { run_writer(); }),
      watchdog_([this] { run_watchdog(); }) {}

GroupCommit::~GroupCommit() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    settled_.notify_all();
    ending_.notify_all();
  }
  writer_.join();
  watchdog_.join();
}

GroupCommit::Ticket GroupCommit::add(Revision revision, JournalBatch writes, std::optional<ChangeBatch> changes) {
  std::scoped_lock lock(mutex_);
  Batch& batch = *gathering_;
  if (!failure_.empty()) return batch.ticket;
  batch.bytes += bytes_of(writes);
  std::ranges::move(writes.writes, std::back_inserter(batch.writes.writes));
  if (writes.reserved) batch.writes.reserved = writes.reserved;
  if (changes) batch.changes.push_back(*std::move(changes));
  batch.last = revision;
  if (!std::exchange(batch.has_changes, true)) wake_.notify_one();
  return batch.ticket;
}

GroupCommit::Ticket GroupCommit::ticket_for(Revision as_of) const {
  std::scoped_lock lock(mutex_);
  if (as_of <= durable_revision_) return durable_ticket_;
  if (writing_ && as_of <= writing_->last) return writing_->ticket;
  return gathering_->ticket;
}

bool GroupCommit::is_behind() const {
  std::scoped_lock lock(mutex_);
  return gathering_->bytes > kMostGathered;
}

std::string GroupCommit::failure() const {
  std::scoped_lock lock(mutex_);
  return failure_;
}

Task<Result<void>> GroupCommit::durable(Ticket ticket, Deadline deadline) {
  Fate fate = look(ticket);
  if (fate == Fate::open) {
    auto executor = co_await asio::this_coro::executor;
    fate = co_await wait(executor, ticket, deadline);
  }
  switch (fate) {
    case Fate::durable:
      co_return Result<void>();
    case Fate::lost:
      co_return Error{Errc::unavailable, failure()};
    case Fate::open:
      break;
  }
  co_return Error{Errc::deadline_exceeded, "the disk did not answer in time"};
}

GroupCommit::Fate GroupCommit::look(Ticket ticket) const {
  std::scoped_lock lock(mutex_);
  if (ticket <= durable_ticket_) return Fate::durable;
  return failure_.empty() ? Fate::open : Fate::lost;
}

Task<GroupCommit::Fate> GroupCommit::wait(Executor executor, Ticket ticket, Deadline deadline) {
  auto enlist = [this, executor, ticket, deadline](auto handler) {
    using Kind = HandlerWaiter<decltype(handler)>;
    this->enlist(ticket, std::make_unique<Kind>(executor, deadline, std::move(handler)));
  };
  return asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Fate)>(std::move(enlist), use_task);
}

void GroupCommit::enlist(Ticket ticket, std::unique_ptr<Waiter> waiter) {
  Fate fate = Fate::lost;
  {
    std::scoped_lock lock(mutex_);
    if (ticket > durable_ticket_ && failure_.empty()) {
      Batch& batch = writing_ && ticket == writing_->ticket ? *writing_ : *gathering_;
      batch.waiters.push_back(std::move(waiter));
      return;
    }
    if (ticket <= durable_ticket_) fate = Fate::durable;
  }
  Waiters one;
  one.push_back(std::move(waiter));
  resume(std::move(one), fate);
}

// One post per executor, however many wait there.
void GroupCommit::resume(Waiters waiters, Fate fate) {
  auto same_executor = [](const auto& a, const auto& b) { return a->context() < b->context(); };
  std::ranges::stable_sort(waiters, same_executor);
  for (auto first = waiters.begin(); first != waiters.end();) {
    auto last = std::find_if(first, waiters.end(), [&](const auto& w) { return w->context() != (*first)->context(); });
    Waiters group(std::make_move_iterator(first), std::make_move_iterator(last));
    Executor executor = group.front()->executor();
    asio::post(executor, [group = std::move(group), fate] {
      for (const auto& waiter : group) waiter->resume(fate);
    });
    first = last;
  }
}

bool GroupCommit::wait_until_durable(Ticket ticket) {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return ticket <= durable_ticket_ || !failure_.empty() || stopping_; });
  return ticket <= durable_ticket_;
}

void GroupCommit::run_writer() {
  std::unique_lock lock(mutex_);
  while (failure_.empty()) {
    wake_.wait(lock, [this] { return stopping_ || gathering_->has_changes; });
    if (!gathering_->has_changes) return;
    Ticket next = after(gathering_->ticket);
    writing_ = std::exchange(gathering_, std::make_unique<Batch>(next));
    lock.unlock();
    // Nobody else touches these parts of a batch that is being written.
    Result<void> written;
    if (!writing_->writes.empty()) written = journal_->append(writing_->writes);
    if (written) {
      listener_.on_durable(std::move(writing_->changes));
    } else {
      listener_.on_write_failed(written.error().message);
    }
    lock.lock();
    finish(std::move(written));
  }
}

// Called with the lock held.
void GroupCommit::finish(Result<void> written) {
  Waiters ended = std::move(writing_->waiters);
  if (written) {
    durable_ticket_ = writing_->ticket;
    durable_revision_ = std::max(durable_revision_, writing_->last);
  } else {
    failure_ = written.error().message;
    if (failure_.empty()) failure_ = "the journal did not say why";
    std::ranges::move(gathering_->waiters, std::back_inserter(ended));
    gathering_->waiters.clear();
  }
  writing_.reset();
  settled_.notify_all();
  resume(std::move(ended), written ? Fate::durable : Fate::lost);
}

void GroupCommit::run_watchdog() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    ending_.wait_for(lock, kDeadlineCheck);
    BootTime now = clock_.boot_now();
    Waiters late;
    if (writing_) take_late(*writing_, now, late);
    take_late(*gathering_, now, late);
    resume(std::move(late), Fate::open);
  }
}

void GroupCommit::take_late(Batch& batch, BootTime now, Waiters& late) {
  auto in_time = [now](const auto& waiter) { return !waiter->is_late(now); };
  auto first_late = std::stable_partition(batch.waiters.begin(), batch.waiters.end(), in_time);
  std::move(first_late, batch.waiters.end(), std::back_inserter(late));
  batch.waiters.erase(first_late, batch.waiters.end());
}

}  // namespace sharedlock
