#include "store/watch_hub.h"

#include <algorithm>
#include <utility>

#include "base/thread.h"

namespace sharedlock {

namespace {

std::size_t bytes_of(const ChangeBatch& batch) {
  std::size_t bytes = sizeof(ChangeBatch);
  for (const Change& change : batch.changes) {
    bytes += sizeof(Change) + change.key.size();
    if (change.now) bytes += change.now->value.size();
    if (change.previous) bytes += change.previous->value.size();
  }
  return bytes;
}

ChangeBatch only_under(const ChangeBatch& batch, const std::string& prefix) {
  ChangeBatch matching{.revision = batch.revision, .changes = {}};
  std::ranges::copy_if(batch.changes, std::back_inserter(matching.changes),
                       [&](const Change& change) { return change.key.starts_with(prefix); });
  return matching;
}

}  // namespace

struct WatchHub::Watcher {
  std::string prefix;
  WatchHandler handler;
  Snapshots snapshots = Snapshots::full;
  std::optional<Revision> told;                  // everything up to here was delivered; nothing: a snapshot is due
  std::optional<std::uint64_t> snapshot_failed;  // the news at which it could not be had
  bool told_live = true;
  bool removed = false;
  bool told_the_end = false;
  bool in_handler = false;
};

class WatchHub::WatcherHandle final : public Subscription::State {
 public:
  WatcherHandle(WatchHub& hub, std::shared_ptr<Watcher> watcher) : hub_(hub), watcher_(std::move(watcher)) {}
  ~WatcherHandle() override { hub_.remove(watcher_); }

 private:
  WatchHub& hub_;
  std::shared_ptr<Watcher> watcher_;
};

WatchHub::WatchHub(Revision latest, TakeSnapshot take_snapshot, WatchHistory history)
    : take_snapshot_(std::move(take_snapshot)), limits_(history), latest_(latest), forgotten_(latest) {}

WatchHub::~WatchHub() {
  stop();
}

void WatchHub::end() {
  std::scoped_lock lock(mutex_);
  ended_ = true;
  ++news_;
  wake_.notify_all();
}

void WatchHub::live(bool live) {
  std::scoped_lock lock(mutex_);
  live_ = live;
  ++news_;
  wake_.notify_all();
}

void WatchHub::look_again() {
  std::scoped_lock lock(mutex_);
  ++news_;
  wake_.notify_all();
}

void WatchHub::stop() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

// Without the lock, so a watcher that begins at this moment may be missed: see publish().
bool WatchHub::recording() const {
  return recording_.load(std::memory_order_relaxed);
}

void WatchHub::publish(Revision revision, std::vector<Change> changes) {
  std::scoped_lock lock(mutex_);
  latest_ = revision;
  ++news_;
  if (changes.empty()) {
    forget_all();
    if (recording_) wake_.notify_all();
    return;
  }
  ChangeBatch batch{.revision = revision, .changes = std::move(changes)};
  history_bytes_ += bytes_of(batch);
  history_.push_back(std::make_shared<const ChangeBatch>(std::move(batch)));
  while (history_.size() > limits_.batches || history_bytes_ > limits_.bytes) forget_oldest();
  wake_.notify_all();
}

void WatchHub::forget_oldest() {
  forgotten_ = history_.front()->revision;
  history_bytes_ -= bytes_of(*history_.front());
  history_.pop_front();
}

void WatchHub::forget_all() {
  forgotten_ = latest_;
  if (history_.empty()) return;
  history_.clear();
  history_bytes_ = 0;
}

Subscription WatchHub::subscribe(std::string prefix, std::optional<Revision> after, WatchHandler handler,
                                 Snapshots snapshots) {
  auto watcher = std::make_shared<Watcher>();
  watcher->prefix = std::move(prefix);
  watcher->handler = std::move(handler);
  watcher->snapshots = snapshots;
  std::scoped_lock lock(mutex_);
  // A revision that was never announced is from another run of the store: its history is not ours.
  if (after && *after <= latest_) watcher->told = after;
  recording_ = true;
  ++news_;
  watchers_.push_back(watcher);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_all();
  return Subscription(std::make_unique<WatcherHandle>(*this, std::move(watcher)));
}

void WatchHub::remove(const std::shared_ptr<Watcher>& watcher) {
  std::unique_lock lock(mutex_);
  watcher->removed = true;
  watchers_.remove(watcher);
  bool on_hubs_thread = std::this_thread::get_id() == thread_.get_id();
  if (!on_hubs_thread) handler_ended_.wait(lock, [&] { return !watcher->in_handler; });
  if (!watcher->in_handler) drop_handler(lock, *watcher);
}

// A handler is destroyed with its subscription: the objects it holds must not live on until the thread next looks at
// its watchers. It is destroyed without the lock, since it may hold another subscription.
void WatchHub::drop_handler(std::unique_lock<std::mutex>& lock, Watcher& watcher) {
  WatchHandler dropped = std::exchange(watcher.handler, nullptr);
  lock.unlock();
  dropped = nullptr;
  lock.lock();
}

void WatchHub::run() {
  const NamedThread named("watch-hub");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    bool told = false;
    std::uint64_t news = news_;
    // Handlers may remove and add watchers, so each round uses a copy.
    auto watchers = watchers_;
    for (const auto& watcher : watchers) {
      if (!stopping_ && !watcher->removed) told |= serve(lock, watcher);
    }
    if (!told && !stopping_ && news == news_) wake_.wait(lock);
  }
}

bool WatchHub::needs_snapshot(const Watcher& watcher) const {
  return !watcher.told || *watcher.told < forgotten_;
}

// Delivers the next event to one watcher; false when there is none now.
bool WatchHub::serve(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Watcher>& watcher) {
  auto event = next_event(lock, *watcher);
  if (!event || watcher->removed) return event.has_value();
  watcher->in_handler = true;
  lock.unlock();
  watcher->handler(*event);
  lock.lock();
  if (watcher->removed) drop_handler(lock, *watcher);
  watcher->in_handler = false;
  handler_ended_.notify_all();
  return true;
}

std::optional<WatchEvent> WatchHub::next_event(std::unique_lock<std::mutex>& lock, Watcher& watcher) {
  if (watcher.told_the_end) return std::nullopt;
  if (ended_) {
    watcher.told_the_end = true;
    return Liveness{false};
  }
  // A watcher that got no events has nothing out of date. One that has fallen behind waits for a snapshot, maybe long.
  bool out_of_date = !live_ || needs_snapshot(watcher);
  if (out_of_date && watcher.told_live && watcher.told) {
    watcher.told_live = false;
    return Liveness{false};
  }
  if (needs_snapshot(watcher)) return next_snapshot(lock, watcher);
  if (auto batch = next_batch(watcher)) return batch;
  if (live_ && !watcher.told_live) {
    watcher.told_live = true;
    return Liveness{true};
  }
  return std::nullopt;
}

std::optional<WatchEvent> WatchHub::next_snapshot(std::unique_lock<std::mutex>& lock, Watcher& watcher) {
  if (watcher.snapshots == Snapshots::empty) {
    watcher.told = latest_;
    return Snapshot{.as_of = latest_, .entries = {}};
  }
  std::uint64_t news = news_;
  if (watcher.snapshot_failed == news) return std::nullopt;
  lock.unlock();
  std::optional<Snapshot> snapshot = take_snapshot_(watcher.prefix);
  lock.lock();
  if (!snapshot) {
    watcher.snapshot_failed = news;
    return std::nullopt;
  }
  watcher.told = snapshot->as_of;
  return *std::move(snapshot);
}

// The next changes under its prefix; skips changes elsewhere.
std::optional<WatchEvent> WatchHub::next_batch(Watcher& watcher) {
  auto later = [](Revision told, const Batch& batch) { return told < batch->revision; };
  auto next = std::upper_bound(history_.begin(), history_.end(), *watcher.told, later);
  for (; next != history_.end(); ++next) {
    watcher.told = (*next)->revision;
    ChangeBatch matching = only_under(**next, watcher.prefix);
    if (!matching.changes.empty()) return matching;
  }
  return std::nullopt;
}

}  // namespace sharedlock
