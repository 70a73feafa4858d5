#pragma once

#include <optional>
#include <string>

#include "http/message.h"

namespace sharedlock {

struct AccessOptions {
  bool authentication_disabled = false;
};

// Who may call, and who the caller is. Immutable, so safe to use from every thread.
class Access {
 public:
  explicit Access(AccessOptions options) : options_(options) {}

  // The lock API: 401 unless the caller is known or authentication is disabled; 403 as for the lease API.
  std::optional<http::Response> admit_to_locks(const http::Request& request) const;

  // The lease API, which never had authentication: 403 for a changing call that a browser made from another site:
  // with `Sec-Fetch-Site: cross-site`, or with an Origin whose host and port are not the Host's.
  std::optional<http::Response> admit_to_leases(const http::Request& request) const;

  // The owner that a lock of this caller is recorded under. The request must have been admitted.
  std::string owner(const http::Request& request) const;

 private:
  AccessOptions options_;
};

}  // namespace sharedlock
