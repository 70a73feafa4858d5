#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lock/decided.h"
#include "lock/lock_record.h"
#include "lock/rules.h"
#include "queue/types.h"
#include "store/fencing_token.h"
#include "store/lease_store.h"

namespace sharedlock {

// A lock as granted or renewed. `ttl`: the lock is safe for so long after `received`.
struct LockGrant {
  LockRecord record;
  FencingToken token;
  Ttl ttl;
  Revision revision;                       // of the commit
  bool waited = false;                     // in a queue: `ttl` counts from a moment that the client does not know
  bool replaces = false;                   // a holding of the same holder
  std::chrono::seconds may_be_back_for{};  // after waiting: its undoing waits so long for the client to return (R37)
};

using LockAnswer = std::variant<LockGrant, Refused, WaitEnd>;  // WaitEnd: only to an acquire that would wait

// Why a set of locks was not taken, renewed or released; all of them are as they were.
struct SetRefused {
  std::vector<std::string> blocked_by;              // the names that stood in the way
  std::optional<std::size_t> ahead = std::nullopt;  // after waiting in a queue: how many waiters were ahead
};
// A caller that holds some of these may not wait for the others: their holder might be waiting for it (R25).
struct HoldAndWait {
  std::vector<std::string> held;
};
using SetGrant = std::vector<LockGrant>;                                     // [i] of names[i]
using SetAnswer = std::variant<SetGrant, SetRefused, HoldAndWait, WaitEnd>;  // the last two: only if asked to wait

// The grant that was committed, or the refusal. `token_base`: of the store.
LockAnswer to_answer(Decided&& decided, std::int64_t token_base);

// The same for a set of which none is refused.
SetGrant to_grants(std::vector<Decided> all, std::int64_t token_base);

}  // namespace sharedlock
