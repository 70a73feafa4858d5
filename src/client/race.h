#pragma once

#include <cstdint>
#include <string>

#include "base/task.h"
#include "client/connection.h"
#include "client/lookup.h"

namespace sharedlock::client {

// The present step of connecting, for the message when it takes too long.
struct Progress {
  enum class Step { lookup, connect, tls };
  Step step = Step::lookup;
  std::string tried = {};  // the addresses
};

// Connects to the first of a host's addresses that answers ("happy eyeballs", RFC 8305): each has a quarter of a second
// before the next one is tried beside it. Ends when there is a connection, or every address has failed, or the
// connection was aborted. Returns why there is none; empty: there is one.
Task<std::string> race(Connection* connection, Lookup* lookup, std::uint16_t port, Progress* progress);

}  // namespace sharedlock::client
