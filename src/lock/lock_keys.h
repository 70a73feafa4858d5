#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lock/types.h"
#include "queue/queue_state.h"

namespace sharedlock {

// Where locks and their queues stand in the store. In queues a lock's name is {namespace}:{lockName}; its key is the
// prefix and that name. Immutable.
class LockKeys {
 public:
  explicit LockKeys(std::string prefix) : prefix_(std::move(prefix)) {}

  // Of all locks and queues.
  const std::string& prefix() const { return prefix_; }

  static std::string name_of(const LockName& lock);
  std::string key_of(const LockName& lock) const;

  // [i]: of set.names[i].
  static std::vector<std::string> names_of(const LockSet& set);
  std::vector<std::string> keys_of(const LockSet& set) const;

  // The prefix of the entries in the queue of the lock that has this key.
  std::string queue_of(std::string_view key) const;

  // Both, by the lock's name in queues.
  QueuePart part_of(const std::string& name) const;

 private:
  const std::string prefix_;
};

}  // namespace sharedlock
