#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sharedlock::bench {

// Where requests go.
struct Target {
  std::string host;  // a name or an address, without brackets
  std::uint16_t port;
  std::string host_header;
};

// "http://HOST[:PORT][/]". invalid_argument for anything else: no https, no path.
Result<Target> parse_url(const std::string& url);

struct SocketAddress {
  sockaddr_storage bytes;
  socklen_t size;
};

// Asks the resolver, and takes its first answer. unavailable when there is none.
Result<SocketAddress> resolve(const Target& target);

}  // namespace sharedlock::bench
