#include "load/target.h"

#include <netdb.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cstring>
#include <string_view>

namespace sharedlock::bench {

namespace {

Error not_usable(const std::string& url, const std::string& why) {
  return Error{Errc::invalid_argument, "\"" + url + "\" " + why};
}

}  // namespace

Result<Target> parse_url(const std::string& url) {
  auto parsed = boost::urls::parse_uri(url);
  if (!parsed) return not_usable(url, "is no URL: write it as in http://127.0.0.1:8080");
  if (parsed->scheme_id() != boost::urls::scheme::http) return not_usable(url, "must begin with http://");
  bool has_more = parsed->has_userinfo() || parsed->has_query() || parsed->has_fragment() ||
                  (!parsed->encoded_path().empty() && parsed->encoded_path() != "/");
  if (has_more) return not_usable(url, "must hold a host and a port, and nothing else");
  if (parsed->encoded_host().empty()) return not_usable(url, "has no host");
  std::uint16_t port = parsed->has_port() ? parsed->port_number() : std::uint16_t{80};
  bool usable = port != 0 && (!parsed->has_port() || parsed->port() == std::to_string(port));
  if (!usable) return not_usable(url, "has no usable port");
  std::string header(std::string_view(parsed->encoded_host()));
  if (port != 80) header += ":" + std::to_string(port);
  return Target{parsed->host_address(), port, header};
}

Result<SocketAddress> resolve(const Target& target) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &wanted, &found);
  if (error != 0) return Error{Errc::unavailable, "can't find " + target.host + ": " + ::gai_strerror(error)};
  SocketAddress address{};
  std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

}  // namespace sharedlock::bench
