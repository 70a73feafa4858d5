#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/lease_store.h"
#include "store/watch_hub.h"

namespace sharedlock {

class EtcdClient;
class EtcdConnections;

// One etcd watch per prefix, however many watchers it has here. A prefix once watched stays watched: there are few.
//
// After a break a watch resumes where it ended; if etcd has compacted the changes in between, watchers are sent a
// Snapshot. It is asked for a sign of life every second; after three without one it starts anew at another endpoint. It
// is live as long as it has delivered everything that, by a linearizable read, had happened three seconds ago.
// Thread-safe.
class EtcdWatches {
 public:
  // The coroutines run on `executor`, in `tasks`. Connections and client must outlive it.
  EtcdWatches(EtcdConnections& connections, EtcdClient& client, Executor executor, TaskGroup& tasks);
  EtcdWatches(const EtcdWatches&) = delete;
  EtcdWatches& operator=(const EtcdWatches&) = delete;
  ~EtcdWatches();  // after stop(), and after the tasks have been joined; all subscriptions must be gone

  Subscription subscribe(std::string prefix, std::optional<Revision> after, WatchHandler handler,
                         WatchHub::Snapshots snapshots = WatchHub::Snapshots::full);

  // Whether every watch has shown a sign of life within `span`.
  bool all_heard_within(std::chrono::nanoseconds span) const;

  // Whether the watch of that prefix has passed to its hub everything that had happened three seconds ago.
  bool is_current(const std::string& prefix) const;

  // Ends the coroutines soon.
  void stop();

 private:
  class PrefixWatch;

  EtcdConnections& connections_;
  EtcdClient& client_;
  Executor executor_;
  TaskGroup& tasks_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<PrefixWatch>> watches_;
};

}  // namespace sharedlock
