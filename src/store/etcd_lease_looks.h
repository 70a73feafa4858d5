#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdClient;

// What etcd's leader said of how long a lease lives yet. A leader that was deposed and does not know it answers too,
// and may say too much (R34): so it counts only beside something that a quorum has answered.
struct EtcdLeaseLook {
  LeaseId id;
  std::optional<Error> failed = std::nullopt;    // nobody answered
  std::optional<LeaseLife> life = std::nullopt;  // nothing: there is no such lease
  // In which its member was before it was asked and when it answered; 0: that has changed meanwhile. So if the answer
  // is that of a leader, it is that term's.
  std::uint64_t term = 0;

  // Beside an answer of a quorum that was asked for not before this, or is of later.
  bool counts_in(std::uint64_t quorums_term) const { return !failed && term != 0 && term == quorums_term; }
};
using EtcdLeaseLooks = std::vector<EtcdLeaseLook>;

// Asks for one.
Task<void> look_at_lease(EtcdClient& client, EtcdLeaseLook* look, Deadline deadline);

// Asks for all that don't count in that term, a few times.
Task<void> look_again(EtcdClient& client, EtcdLeaseLooks* looks, std::uint64_t quorums_term, Deadline deadline);

}  // namespace sharedlock
