#pragma once

#include <optional>
#include <string>

#include "lock/lock_record.h"
#include "lock/rules.h"
#include "store/lease_store.h"

namespace sharedlock {

// Whether a decision changes what is stored.
bool is_write(const Decision& decision);

// The transaction that carries out such a decision on what stands under `key`, if that is still as it was seen.
Transaction transaction_for(const std::string& key, const Decision& decision, const std::optional<HeldLock>& seen);

}  // namespace sharedlock
