#pragma once

#include "store/lease_store.h"

namespace sharedlock {

// A lease's kind is written in its id, so that every server knows it: ids of pooled and session leases, which must not
// be kept alive or revoked through keep_alive() and revoke(), begin with the same 24 bits. Those of random_lease_id()
// never do. Only the etcd store makes such leases; shown_lease() knows them on every store.
LeaseId random_shared_lease_id();
bool is_shared_lease(LeaseId id);

}  // namespace sharedlock
