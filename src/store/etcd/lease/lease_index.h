#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "store/lease_store.h"

// An index entry tells what hangs on an OwnLease when its entry shares a lease of etcd with others (R33). It is put
// together with the entry, every time, and under the same lease. Pure.
namespace sharedlock {

inline constexpr std::string_view kLeaseIndexPrefix = "/shared-lock.id/";

struct LeaseIndex {
  Ttl ttl;
  std::string key;

  bool operator==(const LeaseIndex&) const = default;
};

// The key of a lease's index entry.
std::string lease_index_key(LeaseId id);

// As text: `10 /shared-lock/a key`.
std::string to_text(const LeaseIndex& index);
std::optional<LeaseIndex> parse_lease_index(std::string_view text);  // nothing: invalid text

// Whether an index entry that names the key of that entry is true. If not, the entry has been erased, taken by another
// holder, or put again by a program that does not know the index; then nothing hangs on that lease.
bool is_true_of(const Entry& index, const std::optional<Entry>& entry);

}  // namespace sharedlock
