#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/etcd_options.h"
#include "store/lease_store.h"

namespace sharedlock {

// Keeps everything in an etcd cluster, which many servers may share. It needs no etcd to begin with: until one answers
// every call is `unavailable`, with the reason.
//
// A lease id that is `given` with an OwnLease must be known to this server alone until commit() has answered: a lease
// that was granted for a transaction which lost its race is ended in the background.
//
// Errors: invalid_argument when an endpoint makes no sense. Clock and log must outlive the store.
Result<std::unique_ptr<LeaseStore>> make_etcd_store(EtcdOptions options, Clock& clock, Log& log);

}  // namespace sharedlock
