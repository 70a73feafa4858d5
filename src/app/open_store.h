#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/loader.h"
#include "store/etcd/options.h"
#include "store/lease_store.h"

namespace sharedlock {

// The store that the settings name, with everything it held before. An error is a sentence for people that names the
// data directory, or the setting that can't be right; an unreadable store is never replaced by a new one, or opened in
// part. etcd need not answer yet. The settings must have passed refusal() of startup.h. The clock and the log must
// outlive the store. `when_lost` is called when etcd has forgotten something (etcd_store.h).
Result<std::unique_ptr<LeaseStore>> open_store(const config::LoadedSettings& loaded, Clock& clock, Log& log,
                                               EtcdLossHandler when_lost);

}  // namespace sharedlock
