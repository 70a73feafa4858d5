#include "http/client_address.h"

#include <algorithm>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <optional>
#include <ranges>
#include <stdexcept>

#include "http/message.h"
#include "http/text.h"

namespace sharedlock::http {

namespace ip = boost::asio::ip;
using boost::system::error_code;

namespace {

constexpr std::size_t kMappedBits = 96;  // ::ffff:0:0/96 holds IPv4

std::optional<Address> parse_address(std::string_view text) {
  error_code malformed;
  Address address = ip::make_address(std::string(text), malformed);
  if (malformed) return std::nullopt;
  return unmapped(address);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711"
std::optional<Address> parse_hop(std::string_view text) {
  if (text.starts_with('[')) {
    std::size_t end = text.find(']');
    return end == std::string_view::npos ? std::nullopt : parse_address(text.substr(1, end - 1));
  }
  std::size_t colon = text.find(':');
  bool has_port = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  return parse_address(has_port ? text.substr(0, colon) : text);
}

bool starts_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// Headers that proxies and meshes add to a request.
bool says_forwarded(std::span<const Header> headers) {
  constexpr std::string_view kNames[] = {"Forwarded", "X-Real-IP", "Via"};
  constexpr std::string_view kPrefixes[] = {"X-Forwarded-", "X-Envoy-"};
  return std::ranges::any_of(headers, [&](const Header& header) {
    return std::ranges::any_of(kNames, [&](auto name) { return equal_ignoring_case(header.name, name); }) ||
           std::ranges::any_of(kPrefixes, [&](auto prefix) { return starts_ignoring_case(header.name, prefix); });
  });
}

// The last item of the list; removes it.
std::string_view take_last(std::string_view& list) {
  std::size_t comma = list.rfind(',');
  bool only = comma == std::string_view::npos;
  std::string_view last = only ? list : list.substr(comma + 1);
  list = only ? std::string_view() : list.substr(0, comma);
  return trimmed(last);
}

}  // namespace

Address unmapped(const Address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

Networks::Networks(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) networks_.push_back(parse(text));
}

Networks::Network Networks::parse(const std::string& text) {
  if (auto address = parse_address(text)) return {bytes_of(*address), 128};
  error_code malformed;
  auto v4 = ip::make_network_v4(text, malformed);
  if (!malformed) return {bytes_of(v4.address()), kMappedBits + v4.prefix_length()};
  auto v6 = ip::make_network_v6(text, malformed);
  if (malformed) throw std::invalid_argument("not an IP address or network: " + text);
  return {v6.address().to_bytes(), v6.prefix_length()};
}

Networks::Bytes Networks::bytes_of(const Address& address) {
  return address.is_v6() ? address.to_v6().to_bytes() : ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
}

bool Networks::contain(const Address& address) const {
  if (networks_.empty()) return false;
  Bytes bytes = bytes_of(address);
  return std::ranges::any_of(networks_, [&](const Network& network) {
    std::size_t whole = network.bits / 8;
    if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole), network.prefix.begin())) {
      return false;
    }
    std::size_t left = network.bits % 8;
    return left == 0 || (bytes[whole] ^ network.prefix[whole]) >> (8 - left) == 0;
  });
}

std::string Peer::text() const {
  std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return host + ":" + std::to_string(port);
}

Client client_of(const Request& request) {
  if (request.peer == nullptr) return {};
  const Peer& peer = *request.peer;
  if (peer.proxies == nullptr) return {peer.address, says_forwarded(request.headers)};
  Client client{peer.address, true};
  for (const Header& header : request.headers | std::views::reverse) {
    if (!equal_ignoring_case(header.name, "X-Forwarded-For")) continue;
    for (std::string_view hops = header.value; !hops.empty();) {
      auto hop = parse_hop(take_last(hops));
      if (!hop) return client;
      client.address = *hop;
      if (!peer.proxies->contain(*hop)) return client;
    }
  }
  return client;
}

}  // namespace sharedlock::http
