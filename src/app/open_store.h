#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/settings.h"
#include "store/lease_store.h"

namespace sharedlock {

// The store that the settings name, with all that it held before. An error is a sentence for people that names the data
// directory; a store is never begun anew, or from a part, because what is there can't be read. `settings` must have
// passed refusal() of startup.h. The clock and the log must outlive the store.
Result<std::unique_ptr<LeaseStore>> open_store(const config::Settings& settings, Clock& clock, Log& log);

}  // namespace sharedlock
