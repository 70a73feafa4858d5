#pragma once

#include "config/loader.h"

namespace sharedlock {

// `shared-lock store accept`: an operator's decision that the servers shall serve what etcd holds now, although it has
// forgotten some of their grants. Returns the exit code: 0; 1 when etcd did not answer; 2 when the store is not etcd,
// or a setting can't be right.
int accept_loss(const config::LoadedSettings& loaded);

}  // namespace sharedlock
