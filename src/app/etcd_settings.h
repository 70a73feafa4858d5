#pragma once

#include "base/result.h"
#include "config/loader.h"
#include "store/etcd/options.h"

namespace sharedlock {

// What the etcd store is told, from the settings; reads the PEM files where TLS is used. A path that was set must lead
// to a good file; a default one counts only if there is a file. invalid_argument, with a sentence that names the
// setting and the file: the server can't start.
Result<EtcdOptions> etcd_options(const config::LoadedSettings& loaded);

}  // namespace sharedlock
