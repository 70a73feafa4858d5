#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "queue/queue_state.h"

namespace sharedlock {

// The value of a queue entry, as a JSON object: owner, the SHA-256 of the instance (which stays secret), the server
// that keeps the entry, and the names of all that is waited for together (R21).
struct QueueEntry {
  std::string owner;
  std::string instance;  // hexadecimal; empty: anonymous
  std::string server;
  std::vector<std::string> names;
  Revision since = kAbsent;  // as in QueueState::Join; absent: it stands there for the first time
};

std::string to_json(const QueueEntry& entry);
// The JSON of an entry that is joined again.
std::string joined_again(std::string json, Revision since);

// corrupt: not such an object.
Result<QueueEntry> parse_queue_entry(const std::string& json);

// How holders and waiters are told apart.
Identity identity_of(const std::string& owner, const std::string& instance);
Identity identity_of(const QueueEntry& entry);  // empty where the waiter is anonymous

}  // namespace sharedlock
