#include "store/lease_ids.h"

#include "base/random.h"

namespace sharedlock {

namespace {

constexpr int kRandomBits = 39;
constexpr std::int64_t kMark = 0x53484C;  // "SHL": 23 bits, so that ids stay positive

}  // namespace

LeaseId random_shared_lease_id() {
  auto random = static_cast<std::int64_t>(random_bits() >> (64 - kRandomBits));
  return LeaseId{(kMark << kRandomBits) | random};
}

bool is_shared_lease(LeaseId id) {
  return number_of(id) >> kRandomBits == kMark;
}

}  // namespace sharedlock
