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
// A lease id that is `given` with an OwnLease must be known to this server alone until commit() has answered: a lease
// that was granted for a transaction which lost its race is ended in the background.
//
// Where etcd has forgotten what it had confirmed, every call is `unavailable` from then on (R32), and `when_lost` is
// told.
//
// Errors: invalid_argument when an endpoint makes no sense. Clock and log must outlive the store.
Result<std::unique_ptr<LeaseStore>> make_etcd_store(EtcdOptions options, Clock& clock, Log& log,
                                                    EtcdLossHandler when_lost = {});

// An operator's word that what etcd holds now is to be served, whatever it has forgotten: erases the mark, and lets the
// servers that refuse it begin anew. Returns what the mark said; nothing: there was none. Takes no longer than a
// request.
Result<std::optional<std::string>> accept_etcd_loss(EtcdOptions options, Clock& clock, Log& log);

}  // namespace sharedlock
