#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "store/lease_store.h"

namespace sharedlock {

// How much history a hub keeps for watchers that are behind: whichever limit is reached first.
struct WatchHistory {
  std::size_t batches = 4096;
  std::size_t bytes = 8 << 20;
};

// Delivers changes to watchers, for stores that keep their state in this process. Keeps a bounded history; a watcher
// that falls behind it, or begins before it, is sent a Snapshot instead. Calls the handlers one after the other on a
// separate thread, which starts with the first watcher. Thread-safe; until the first watcher, publish() is cheap.
class WatchHub {
 public:
  // Returns the entries under a prefix as of some revision that publish() has announced or is about to; nothing when
  // they are not available now: then it is called again after the next publish(), live() or look_again(). Called on the
  // hub's thread without its locks.
  using TakeSnapshot = std::function<std::optional<Snapshot>(const std::string& prefix)>;

  // `latest` is the store's revision at the beginning.
  WatchHub(Revision latest, TakeSnapshot take_snapshot, WatchHistory history = {});
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;
  ~WatchHub();  // stop(); all subscriptions must be gone

  // False before the first watcher: until then publish() needs only the revision.
  bool recording() const;

  // Announces one revision's changes. None means that they were not collected because recording() was false: a watcher
  // that began meanwhile is sent a Snapshot. Revisions must grow from call to call.
  void publish(Revision revision, std::vector<Change> changes);

  // Nothing will be announced any more: every watcher, also a later one, hears that it is not live, and then nothing
  // else.
  void end();

  // Whether the past and future events are current, from now on (true at the beginning). Watchers hear at once that it
  // is not, and that it is again only after everything before.
  void live(bool live);

  // Retries snapshots that could not be taken.
  void look_again();

  // Ends the thread; no handler is called any more. Idempotent. Not from a handler.
  void stop();

  // What its Snapshots hold, see LeaseStore::follow().
  enum class Snapshots { full, empty };

  Subscription subscribe(std::string prefix, std::optional<Revision> after, WatchHandler handler,
                         Snapshots snapshots = Snapshots::full);

 private:
  struct Watcher;
  class WatcherHandle;
  using Batch = std::shared_ptr<const ChangeBatch>;

  void run();
  bool serve(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Watcher>& watcher);
  std::optional<WatchEvent> next_event(std::unique_lock<std::mutex>& lock, Watcher& watcher);
  std::optional<WatchEvent> next_batch(Watcher& watcher);
  std::optional<WatchEvent> next_snapshot(std::unique_lock<std::mutex>& lock, Watcher& watcher);
  bool needs_snapshot(const Watcher& watcher) const;
  void remove(const std::shared_ptr<Watcher>& watcher);
  static void drop_handler(std::unique_lock<std::mutex>& lock, Watcher& watcher);
  void forget_oldest();
  void forget_all();

  const TakeSnapshot take_snapshot_;
  const WatchHistory limits_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // there is something to deliver, or the end
  std::condition_variable handler_ended_;
  bool stopping_ = false;
  bool ended_ = false;
  bool live_ = true;
  std::uint64_t news_ = 0;               // how often there was a reason to look at the watchers again
  std::atomic<bool> recording_ = false;  // changed with the lock held
  Revision latest_;                      // announced last
  Revision forgotten_;                   // everything up to here is no longer in history_
  std::deque<Batch> history_;
  std::size_t history_bytes_ = 0;
  std::list<std::shared_ptr<Watcher>> watchers_;
  std::thread thread_;
};

}  // namespace sharedlock
