#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"

namespace sharedlock {

struct AccessOptions {
  bool authentication_disabled = false;
  std::string admin_token = {};                   // an administrator's X-Admin-Token; empty: there is none
  std::vector<std::string> allowed_origins = {};  // of pages that may make changes, besides our own: `https://host`
};

// Decides which callers are admitted, and as which owner. Immutable, so safe to use from every thread.
class Access {
 public:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}

  // The lock API: 401 unless the caller is known or authentication is disabled; 403 as for the lease API.
  std::optional<http::Response> admit_to_locks(const http::Request& request) const;

  // The lease API, which never had authentication: 403 for a changing call that a browser made for a page of another
  // site. `Sec-Fetch-Site` decides if it is same-origin, none or cross-site; else the host and port of `Origin` must be
  // those of `Host` or, from a trusted proxy, of `X-Forwarded-Host`. Allowed origins always pass.
  std::optional<http::Response> admit_to_leases(const http::Request& request) const;

  // Administrators only, in addition to these checks: else 403. A caller with the token needs no other authentication.
  std::optional<http::Response> admit_administrator_to_locks(const http::Request& request) const;
  std::optional<http::Response> admit_administrator_to_leases(const http::Request& request) const;

  // The owner under which this caller's locks are recorded. The request must have been admitted.
  std::string owner(const http::Request& request) const;

 private:
  bool is_administrator(const http::Request& request) const;
  bool changes_from_another_site(const http::Request& request) const;
  bool is_allowed(std::string_view origin) const;

  AccessOptions options_;
};

}  // namespace sharedlock
