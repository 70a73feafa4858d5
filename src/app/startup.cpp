#include "app/startup.h"

namespace sharedlock {

using config::Settings;

std::optional<std::string> refusal(const Settings& settings) {
  if (!settings.jwt_issuer.empty() || !settings.jwt_jwks.empty() || !settings.jwt_audience.empty()) {
    return "jwt.issuer, jwt.jwks or jwt.audience is set, but this version can't check tokens yet, and a server that "
           "was "
           "told to check them must not run open: unset them, and set authentication.disabled=true where everybody "
           "who can reach the server may use it";
  }
  return std::nullopt;
}

}  // namespace sharedlock
