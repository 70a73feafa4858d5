#include "app/startup.h"

namespace sharedlock {

using config::Settings;
using config::StorageType;

std::optional<std::string> refusal(const Settings& settings) {
  if (!settings.jwt_issuer.empty() || !settings.jwt_jwks.empty() || !settings.jwt_audience.empty()) {
    return "jwt.issuer, jwt.jwks or jwt.audience is set, but this version can't check tokens yet, and a server that "
           "was "
           "told to check them must not run open: unset them, and set authentication.disabled=true where everybody "
           "who can reach the server may use it";
  }
  switch (settings.storage_type) {
    case StorageType::etcd:
      return "SHARED_LOCK_STORAGE_TYPE is etcd (the default), which this version does not have yet: choose embedded "
             "(kept on this machine's disk, in SHARED_LOCK_DATA_DIR), or memory (everything is lost when the server "
             "ends) or its other name mock";
    case StorageType::embedded:
    case StorageType::memory:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sharedlock
