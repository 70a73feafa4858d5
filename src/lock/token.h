#pragma once

#include <cstdint>

#include "lock/types.h"
#include "store/lease_store.h"

namespace sharedlock {

// The token of a holding that began at `revision`, in a store with this LeaseStore::token_base().
constexpr FencingToken token_at(Revision revision, std::int64_t token_base) {
  return FencingToken{number_of(revision) + token_base};
}

}  // namespace sharedlock
