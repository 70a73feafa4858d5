#include "config/settings.h"

#include <algorithm>

namespace sharedlock::config {

bool uses_etcd_tls(const Settings& settings) {
  const auto is_https = [](const std::string& endpoint) { return endpoint.starts_with("https://"); };
  return settings.etcd_tls || std::ranges::any_of(settings.etcd_endpoints, is_https);
}

}  // namespace sharedlock::config
