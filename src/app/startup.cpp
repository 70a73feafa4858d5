#include "app/startup.h"

#include <utility>

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
      return "SHARED_LOCK_STORAGE_TYPE is etcd (the default), which this version does not have yet: choose memory "
             "(everything is lost when the server ends), or its other name mock";
    case StorageType::embedded:
      return "SHARED_LOCK_STORAGE_TYPE is embedded, which this version does not have yet: choose memory (everything "
             "is lost when the server ends), or its other name mock";
    case StorageType::memory:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::string> without_effect(const Settings& settings) {
  const Settings defaults;
  const std::pair<bool, const char*> changed[] = {
      {settings.pprof_enabled, "SHARED_LOCK_PPROF_ENABLED"},
      {settings.max_connections_per_address != defaults.max_connections_per_address,
       "SHARED_LOCK_MAX_CONNECTIONS_PER_ADDRESS"},
      {!settings.trusted_proxies.empty(), "SHARED_LOCK_TRUSTED_PROXIES"},
      {settings.server_drain_delay != defaults.server_drain_delay, "SHARED_LOCK_SERVER_DRAIN_DELAY"},
      {settings.strict_compatibility, "compat.strict"},
      {!settings.admin_subjects.empty() || !settings.admin_claim.empty() || !settings.admin_token.empty(),
       "admin.* and SHARED_LOCK_ADMIN_TOKEN"},
  };
  std::vector<std::string> sentences;
  for (auto [is_changed, name] : changed) {
    if (is_changed) sentences.push_back(std::string(name) + " is set, but has no effect in this version yet");
  }
  return sentences;
}

}  // namespace sharedlock
