#pragma once

#include "base/result.h"
#include "config/loader.h"
#include "store/etcd/options.h"

namespace sharedlock {

// The etcd store's options, from the settings; reads the PEM files if TLS is used. A path that was set must lead to a
// valid file; a default one counts only if the file exists. invalid_argument, with a sentence that names the setting
// and the file: the server can't start.
Result<EtcdOptions> etcd_options(const config::LoadedSettings& loaded);

}  // namespace sharedlock
