#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lock/types.h"
#include "store/lease_store.h"

namespace sharedlock {

// What is stored under a lock's key, as a JSON object: namespace, lockName, owner, instanceId, leaseDuration, expiry,
// and fencingToken once a renewal carries it. The layout is that of the records which LockServiceCentral's locker-etcd
// writes, so that both can share one etcd.
struct LockRecord {
  LockName lock;
  Holder holder;
  std::chrono::seconds duration{};
  EpochSeconds expiry{};
  std::optional<FencingToken> carried_token;
  std::string unknown_members;  // as they stood in the text, each with a comma before it: `,"note":1.50`
};

std::string to_json(const LockRecord& record);

// Reads a stored record. An owner may be null (Holder::ownerless). Unknown members are kept; of a member that occurs
// twice the last one counts. corrupt: not a JSON object, or owner, instanceId, leaseDuration or expiry is missing, of
// another type, or out of range.
Result<LockRecord> parse_lock_record(std::string_view json);

// The last second of the year 9999: the `expiry` that some programs write of a lock that never expires.
inline constexpr EpochSeconds kNeverExpires{std::chrono::seconds(253'402'300'799)};

// Until when a lock was promised, and by how much that is, at most, later than the `expiry` of its record: below 1 s.
struct Promised {
  BootTime until;
  std::chrono::nanoseconds after_expiry;
};

// When the lease of a lock ends unless it is renewed, as far as that is known.
struct PresentEnd {
  BootTime at_least;
  BootTime at_most;
  std::optional<Promised> promised = std::nullopt;  // known only to the server that wrote the record
  bool looked_up = false;  // in the store, for this very request; else it rests on this server's own count of time
};

// A lock as it stands in the store.
struct HeldLock {
  LockRecord record;
  FencingToken token;  // of the present holding
  Revision revision;   // what a change of it must expect
  LeaseId lease{0};    // on which it hangs; 0: on none
  std::optional<PresentEnd> end = std::nullopt;
  // Where it hangs on no lease: for how long this process has seen it unchanged.
  std::optional<std::chrono::nanoseconds> leaseless_for = std::nullopt;
};

// The owner to show; nothing where the record has none.
std::optional<std::string> owner_of(const HeldLock& lock);

// Reads an entry. The token is the record's carried one, else that of the entry's revision. corrupt also when the
// carried token is not positive, or above that of the entry's revision: no server of ours wrote that.
Result<HeldLock> read_held_lock(const Entry& entry, std::int64_t token_base = 0);

}  // namespace sharedlock
