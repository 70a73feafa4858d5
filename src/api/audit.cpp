#include "api/audit.h"

#include <string>

#include "http/client_address.h"

namespace sharedlock {

namespace {

constexpr std::size_t kLongestReason = 200;

}  // namespace

void audit_force_release(Log& log, const http::Request& request, std::string_view what, std::string_view owner,
                         bool released) {
  std::string client = http::client_of(request).address.to_string();
  std::string_view reason = request.header("X-Reason").value_or("").substr(0, kLongestReason);
  log.note("force release", {{"what", what},
                             {"owner", owner},
                             {"released", released ? "yes" : "no"},
                             {"client", client},
                             {"reason", reason},
                             {"request", request.id}});
}

}  // namespace sharedlock
