#pragma once

#include <cstdint>

#include "store/lease_store.h"

namespace sharedlock {

// Grows with every new holding of a lock. A resource that remembers the largest one it has seen can refuse a client
// that does not yet know that it has lost the lock.
enum class FencingToken : std::int64_t {};
constexpr std::int64_t number_of(FencingToken token) {
  return static_cast<std::int64_t>(token);
}

// The token of a holding that began at `revision`, in a store with this LeaseStore::token_base().
constexpr FencingToken token_at(Revision revision, std::int64_t token_base) {
  return FencingToken{number_of(revision) + token_base};
}

}  // namespace sharedlock
