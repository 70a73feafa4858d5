#pragma once

#include <optional>
#include <string>
#include <utility>

#include "http/message.h"

namespace sharedlock {

struct AccessOptions {
  bool authentication_disabled = false;
  std::string admin_token = {};  // what X-Admin-Token of an administrator must be; empty: there is none
};

// Who may call, and who the caller is. Immutable, so safe to use from every thread.
class Access {
 public:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}

  // The lock API: 401 unless the caller is known or authentication is disabled; 403 as for the lease API.
  std::optional<http::Response> admit_to_locks(const http::Request& request) const;

  // The lease API, which never had authentication: 403 for a changing call that a browser made from another site:
  // with `Sec-Fetch-Site: cross-site`, or with an Origin whose host and port are not the Host's.
  std::optional<http::Response> admit_to_leases(const http::Request& request) const;

  // Only administrators, on top of either: 403 for everybody else. Whoever sends the token need not be known otherwise.
  std::optional<http::Response> admit_administrator_to_locks(const http::Request& request) const;
  std::optional<http::Response> admit_administrator_to_leases(const http::Request& request) const;

  // The owner that a lock of this caller is recorded under. The request must have been admitted.
  std::string owner(const http::Request& request) const;

 private:
  bool is_administrator(const http::Request& request) const;

  AccessOptions options_;
};

}  // namespace sharedlock
