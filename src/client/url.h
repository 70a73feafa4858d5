#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sharedlock/error.h"

namespace sharedlock::client {

// Where requests go.
struct Url {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  std::string path;       // before each target: empty, or begins with a slash and ends without
  std::string authority;  // as the Host header wants it
};

// refused: not http or https, without a host or with an invalid port, or with a query or user.
Result<Url> parse_url(std::string_view text);

// A path segment or query value, with everything but letters, digits and -._~ escaped.
std::string escape(std::string_view text);

}  // namespace sharedlock::client
