#pragma once

// A hub without a store behind it, and watches on it.
#include <atomic>
#include <latch>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/watch_log.h"
#include "store/watch_hub.h"

namespace sharedlock::hub {

using test::WatchLog;

// The least store that can feed a hub: entries by key, one changed per revision.
class Source {
 public:
  explicit Source(WatchHistory history = {})
      : hub_(Revision{100}, [this](const std::string& prefix) { return snapshot(prefix); }, history) {}

  Revision put(const std::string& key, std::string value = "") {
    std::scoped_lock lock(mutex_);
    bool recording = hub_.recording();
    Revision created = entries_.contains(key) ? entries_[key].created : next();
    entries_[key] = {.value = std::move(value), .lease = LeaseId{1}, .created = created, .revision = next()};
    std::vector<Change> changes;
    if (recording) changes.push_back({.key = key, .now = entries_[key], .previous = std::nullopt});
    hub_.publish(revision_ = next(), std::move(changes));
    return revision_;
  }

  std::map<std::string, Entry> state() const {
    std::scoped_lock lock(mutex_);
    return entries_;
  }
  int snapshots_taken() const { return snapshots_taken_; }
  WatchHub& hub() { return hub_; }

 private:
  Revision next() const { return Revision{number_of(revision_) + 1}; }

  Snapshot snapshot(const std::string& prefix) {
    ++snapshots_taken_;
    std::scoped_lock lock(mutex_);
    Snapshot snapshot{.as_of = revision_, .entries = {}};
    for (const auto& entry : entries_) {
      if (entry.first.starts_with(prefix)) snapshot.entries.push_back(entry);
    }
    return snapshot;
  }

  mutable std::mutex mutex_;
  Revision revision_{100};
  std::map<std::string, Entry> entries_;
  std::atomic<int> snapshots_taken_ = 0;
  WatchHub hub_;
};

// A WatchLog on a hub.
struct Watch {
  Watch(WatchHub& hub, const std::string& prefix, std::optional<Revision> after = std::nullopt,
        std::map<std::string, Entry> state = {})
      : log(prefix, after, std::move(state)), subscription(hub.subscribe(prefix, after, log.handler())) {}

  WatchLog log;
  Subscription subscription;
};

// A watch with a handler that blocks in its first event until it is released.
struct SlowWatch {
  SlowWatch(WatchHub& hub, const std::string& prefix)
      : log(prefix), subscription(hub.subscribe(prefix, std::nullopt, [this](const WatchEvent& event) {
          if (!begun_before) {
            begun_before = true;
            begun.count_down();
            released.wait();
            finished = true;
          }
          log.handler()(event);
        })) {}

  WatchLog log;
  bool begun_before = false;  // used by the handler alone
  std::latch begun{1};
  std::latch released{1};
  std::atomic<bool> finished = false;
  Subscription subscription;
};

}  // namespace sharedlock::hub
