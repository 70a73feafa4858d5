#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::http {

struct Request;

using Address = boost::asio::ip::address;

// An IPv4 address that came through an IPv6 socket ("::ffff:192.0.2.1") as IPv4; any other unchanged.
Address unmapped(const Address& address);

// A set of IP addresses and networks. Safe to read from every thread.
class Networks {
 public:
  Networks() = default;
  // Each is an address, or a network in CIDR notation; anything else throws std::invalid_argument.
  explicit Networks(const std::vector<std::string>& texts);

  bool empty() const { return networks_.empty(); }
  bool contain(const Address& address) const;  // IPv4 in IPv6 counts as IPv4

 private:
  using Bytes = std::array<unsigned char, 16>;
  struct Network {
    Bytes prefix;
    std::size_t bits;
  };
  static Network parse(const std::string& text);
  static Bytes bytes_of(const Address& address);

  std::vector<Network> networks_;
};

// The other end of a connection.
struct Peer {
  Address address;  // unmapped
  std::uint16_t port = 0;
  const Networks* proxies = nullptr;  // the trusted ones, if this peer is one of them; they outlive it
  bool exempt = false;                // from the limit for each address, as trusted proxies are

  std::string text() const;  // "192.0.2.1:4711", "[2001:db8::1]:4711"
};

// The sender of a request, as far as it can be known.
struct Client {
  Address address;
  // There is an intermediary: the peer is a trusted proxy, or the request says that it was forwarded.
  bool forwarded = true;

  // Sent by a program on this machine, and not by way of a proxy on it. (A proxy that does not announce itself can't be
  // told from such a program.)
  bool is_local() const { return !forwarded && address.is_loopback(); }
};

// The peer of the request's connection; behind a trusted proxy, the last address in X-Forwarded-For that is not a
// trusted proxy's, since anything to its left may be forged. Addresses there may have ports; at an unreadable one the
// search ends with the result so far. Costs a pass over the headers: call it only when needed.
Client client_of(const Request& request);

}  // namespace sharedlock::http
