#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "http/client_address.h"

namespace sharedlock::http {

// Zero means "no limit" for every time and every `max_…`.
struct ServerOptions {
  std::string address;                          // empty: all interfaces, IPv6 dual-stack where there is IPv6, else IPv4
  std::uint16_t port = 8080;                    // 0: the kernel picks one, see Server::port()
  std::chrono::nanoseconds read_timeout{};      // for a whole request, from its first byte
  std::chrono::nanoseconds write_timeout{};     // for a whole answer, from its first byte
  std::chrono::nanoseconds idle_timeout{};      // between requests of one connection, and before the first
  std::size_t body_limit = 64 * 1024;           // bytes; more: 413
  std::size_t header_limit = 16 * 1024;         // bytes of request line and headers; more: 431
  std::size_t max_connections = 0;              // over it one that waits for its peer is closed, or the new one is 503
  std::size_t max_connections_per_address = 0;  // over it 429; an IPv6 client counts by its /64 network
  std::size_t max_requests_in_flight = 0;       // in handlers, of each Priority; over it 503
  std::size_t max_buffered_bytes = 0;           // of requests beyond 8 KiB each, together; over it the oldest is 503
  Networks trusted_proxies{};                   // exempt from max_connections_per_address; see client_of()
  Networks exempt_addresses{};                  // likewise
};

}  // namespace sharedlock::http
