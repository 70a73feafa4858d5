#include "store/embedded/group_commit.h"

#include <algorithm>
#include <utility>

#include "base/thread.h"

namespace sharedlock {

namespace {

GroupCommit::Ticket after(GroupCommit::Ticket ticket) {
  return GroupCommit::Ticket{static_cast<std::uint64_t>(ticket) + 1};
}

// How much memory may accumulate before is_behind(): about 80,000 changes of the usual size.
constexpr std::size_t kMostGathered = 64 << 20;

// How many late waits end per acquisition of the lock.
constexpr std::size_t kLateAtOnce = 256;

std::size_t bytes_of(const JournalWrite& write) {
  std::size_t bytes = sizeof(JournalWrite);
  if (auto* put = std::get_if<KeyedEntry>(&write)) bytes += put->first.size() + put->second.value.size();
  if (auto* erase = std::get_if<EraseEntry>(&write)) bytes += erase->key.size();
  return bytes;
}

std::size_t bytes_of(const Change& change) {
  std::size_t bytes = sizeof(Change) + change.key.size();
  if (change.now) bytes += change.now->value.size();
  if (change.previous) bytes += change.previous->value.size();
  return bytes;
}

// Roughly the memory that they take until they are written and announced.
std::size_t bytes_of(const JournalBatch& writes, const std::optional<ChangeBatch>& changes) {
  std::size_t bytes = sizeof(JournalBatch) + sizeof(ChangeBatch);
  for (const JournalWrite& write : writes.writes) bytes += bytes_of(write);
  if (!changes) return bytes;
  for (const Change& change : changes->changes) bytes += bytes_of(change);
  return bytes;
}

}  // namespace

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
    progress_.notify_all();
    deadline_.notify_all();
  }
  writer_.join();
  watchdog_.join();
}

GroupCommit::Ticket GroupCommit::add(Revision revision, JournalBatch writes, std::optional<ChangeBatch> changes) {
  std::scoped_lock lock(mutex_);
  Batch& batch = *gathering_;
  if (!failure_.empty()) return batch.ticket;
  batch.bytes += bytes_of(writes, changes);
  if (!writes.empty()) batch.writes.push_back(std::move(writes));
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

bool GroupCommit::has_failed() const {
  std::scoped_lock lock(mutex_);
  return !failure_.empty();
}

std::string GroupCommit::failure() const {
  std::scoped_lock lock(mutex_);
  return failure_;
}

Result<void> GroupCommit::Wait::result() const {
  switch (waiter_.fate()) {
    case CommitFate::durable:
      return {};
    case CommitFate::lost:
      // Not failure(): it names files, and clients may see this.
      return Error{Errc::unavailable, "the disk failed; see the log"};
    case CommitFate::open:
      break;
  }
  return Error{Errc::deadline_exceeded, "the disk did not answer in time"};
}

// Takes the waiter if it has to wait; else tells it the fate of its batch.
bool GroupCommit::enlist(Ticket ticket, CommitWaiter& waiter, TaskRun& run, std::coroutine_handle<> waiting) {
  std::scoped_lock lock(mutex_);
  waiter.set_fate(fate_of(ticket));
  if (waiter.fate() != CommitFate::open) return false;
  waiter.begin(run, waiting);
  if (waiter.give_up_at() < watchdog_sleeps_until_) deadline_.notify_all();
  Batch& batch = writing_ && ticket == writing_->ticket ? *writing_ : *gathering_;
  batch.waiters.add(waiter);
  return true;
}

// Called with the lock held.
CommitFate GroupCommit::fate_of(Ticket ticket) const {
  if (ticket <= durable_ticket_) return CommitFate::durable;
  return failure_.empty() ? CommitFate::open : CommitFate::lost;
}

bool GroupCommit::is_durable(Ticket ticket) const {
  std::scoped_lock lock(mutex_);
  return fate_of(ticket) == CommitFate::durable;
}

bool GroupCommit::wait_until_durable(Ticket ticket) {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [&] { return ticket <= durable_ticket_ || !failure_.empty() || stopping_; });
  return ticket <= durable_ticket_;
}

void GroupCommit::run_writer() {
  const NamedThread named("journal");
  std::unique_lock lock(mutex_);
  while (failure_.empty()) {
    wake_.wait(lock, [this] { return stopping_ || gathering_->has_changes; });
    if (!gathering_->has_changes) return;
    Ticket next = after(gathering_->ticket);
    writing_ = std::exchange(gathering_, std::make_unique<Batch>(next));
    lock.unlock();
    // No other thread touches these parts of a batch that is being written.
    Result<void> written;
    if (!writing_->writes.empty()) written = journal_->append(writing_->writes);
    tell_listener(*writing_, written);
    lock.lock();
    Finished finished = finish(written);
    lock.unlock();
    finished.batch->waiters.resume(written ? CommitFate::durable : CommitFate::lost);
    finished.lost.resume(CommitFate::lost);
    finished.batch.reset();
    lock.lock();
  }
}

void GroupCommit::tell_listener(Batch& batch, const Result<void>& written) {
  if (written) {
    listener_.on_durable(std::move(batch.changes));
  } else {
    listener_.on_write_failed(written.error().message);
  }
}

// Called with the lock held.
GroupCommit::Finished GroupCommit::finish(const Result<void>& written) {
  Finished finished{.batch = std::move(writing_), .lost = {}};
  if (written) {
    durable_ticket_ = finished.batch->ticket;
    durable_revision_ = std::max(durable_revision_, finished.batch->last);
  } else {
    failure_ = written.error().message;
    if (failure_.empty()) failure_ = "the journal did not say why";
    finished.lost = std::move(gathering_->waiters);
  }
  progress_.notify_all();
  return finished;
}

void GroupCommit::run_watchdog() {
  const NamedThread named("journal-waits");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    end_late_waits(lock);
    watchdog_sleeps_until_ = first_deadline();
    if (stopping_ || watchdog_sleeps_until_ <= clock_.boot_now()) continue;
    if (watchdog_sleeps_until_ == BootTime::max()) {
      deadline_.wait(lock);
    } else {
      clock_.wait_until(lock, deadline_, watchdog_sleeps_until_);
    }
    watchdog_sleeps_until_ = BootTime::min();
  }
}

// The earliest deadline of all waiters. Called with the lock held.
BootTime GroupCommit::first_deadline() const {
  BootTime gathering = gathering_->waiters.first_deadline();
  return writing_ ? std::min(gathering, writing_->waiters.first_deadline()) : gathering;
}

void GroupCommit::end_late_waits(std::unique_lock<std::mutex>& lock) {
  BootTime now = clock_.boot_now();
  CommitWaiters late = gathering_->waiters.take_late(now, kLateAtOnce);
  CommitWaiters more;
  if (writing_) more = writing_->waiters.take_late(now, kLateAtOnce);
  lock.unlock();
  late.resume(CommitFate::open);
  more.resume(CommitFate::open);
  lock.lock();
}

}  // namespace sharedlock
