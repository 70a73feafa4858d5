#include "config/checks.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>
#include <string>

#include "base/json_text.h"

namespace sharedlock::config {

namespace {

namespace ip = boost::asio::ip;

// All keys of the lease API and the server's own begin with this: /shared-lock/, /shared-lock.queue/, ...
constexpr std::string_view kLeaseKeys = "/shared-lock";

bool is_address(std::string_view text) {
  boost::system::error_code error;
  ip::make_address(std::string(text), error);
  return !error;
}

bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

// The characters of a host name or an IPv4 address; whether it exists shows when it is used.
bool is_host_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_host(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) return is_address(text.substr(1, text.size() - 2));
  return !text.empty() && std::ranges::all_of(text, is_host_letter);
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string_view must_be_address(std::string_view text) {
  return is_address(text) ? "" : "must be an IP address, such as 127.0.0.1 or ::1";
}

std::string_view must_be_network(std::string_view text) {
  if (is_address(text)) return "";
  boost::system::error_code error;
  ip::make_network_v4(std::string(text), error);
  if (error) ip::make_network_v6(std::string(text), error);
  return error ? "must be an IP address or a network, such as 10.0.0.0/8" : "";
}

std::string_view must_be_endpoint(std::string_view text) {
  constexpr std::string_view kWanted = "must be an endpoint with a port, such as http://etcd-1:2379";
  if (!take(text, "http://")) take(text, "https://");
  if (text.ends_with('/')) text.remove_suffix(1);
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return kWanted;
  return is_host(text.substr(0, colon)) && is_port(text.substr(colon + 1)) ? "" : kWanted;
}

std::string_view must_be_url(std::string_view text) {
  constexpr std::string_view kWanted = "must be a URL that begins with http:// or https://, without user or password";
  if (text.find('@') != std::string_view::npos) return kWanted;
  if (!take(text, "http://") && !take(text, "https://")) return kWanted;
  return !text.empty() && text.front() != '/' && std::ranges::all_of(text, is_visible) ? "" : kWanted;
}

std::string_view must_be_origin(std::string_view text) {
  constexpr std::string_view kWanted = "must be an origin as browsers write it, such as https://console.example.org";
  if (!take(text, "http://") && !take(text, "https://")) return kWanted;
  if (is_host(text)) return "";
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return kWanted;
  return is_host(text.substr(0, colon)) && is_port(text.substr(colon + 1)) ? "" : kWanted;
}

std::string_view must_be_key_prefix(std::string_view text) {
  if (!is_utf8(text)) return "must be UTF-8";
  if (text.starts_with(kLeaseKeys) || kLeaseKeys.starts_with(text)) {
    return "must be apart from the lease API's keys: it may neither begin with /shared-lock nor be the beginning of "
           "that";
  }
  return "";
}

std::string_view must_be_claim(std::string_view text) {
  return text.starts_with('=') ? "must be the name of a claim, or name=value" : "";
}

std::string_view must_be_token(std::string_view text) {
  return std::ranges::all_of(text, is_visible) ? "" : "must be made of visible ASCII characters, without spaces";
}

}  // namespace sharedlock::config
