#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/etcd/options.h"
#include "store/lease_store.h"

namespace sharedlock {

// Keeps everything in an etcd cluster, which many servers may share. It needs no etcd to begin with: until one answers
// every call is `unavailable`, with the reason.
//
// A lease id that is `given` with an OwnLease must be known only to this server until commit() has answered: a lease
// granted for a transaction that lost its race is ended in the background.
//
// Once etcd has forgotten something that it had confirmed, every call is `unavailable` (R32), and `when_lost` is
// called.
//
// Errors: invalid_argument when an endpoint makes no sense. Clock and log must outlive the store.
Result<std::unique_ptr<LeaseStore>> make_etcd_store(EtcdOptions options, Clock& clock, Log& log,
                                                    EtcdLossHandler when_lost = {});

// An operator's decision to serve what etcd holds now, whatever it has forgotten: erases the mark, and lets the servers
// that refuse it start anew. Returns the mark's text; nothing if there was none. Takes no longer than a request.
Result<std::optional<std::string>> accept_etcd_loss(EtcdOptions options, Clock& clock, Log& log);

}  // namespace sharedlock
