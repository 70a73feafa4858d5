#include "store/lease_store.h"

#include "base/random.h"

namespace sharedlock {

LeaseId random_lease_id() {
  std::uint64_t id = random_bits() >> 1;
  return LeaseId{static_cast<std::int64_t>(id == 0 ? 1 : id)};
}

}  // namespace sharedlock
