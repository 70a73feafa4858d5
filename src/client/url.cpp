#include "client/url.h"

#include <boost/url.hpp>

namespace sharedlock::client {

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error{Errc::refused, "the URL '" + std::string(text) + "' " + std::string(why)};
  };
  auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return bad("can't be read; a good one is http://localhost:8080");
  Url url;
  url.tls = parsed->scheme_id() == boost::urls::scheme::https;
  if (!url.tls && parsed->scheme_id() != boost::urls::scheme::http) return bad("is neither http nor https");
  if (parsed->has_userinfo() || parsed->has_query() || parsed->has_fragment())
    return bad("has more than host, port and path");
  url.host = parsed->host_address();
  if (url.host.empty()) return bad("has no host");
  url.port = parsed->has_port() ? parsed->port_number() : static_cast<std::uint16_t>(url.tls ? 443 : 80);
  if (url.port == 0) return bad("has a port that is none");
  url.authority = parsed->encoded_host_and_port();
  url.path = parsed->encoded_path();
  while (url.path.ends_with('/')) url.path.pop_back();
  return url;
}

std::string escape(std::string_view text) {
  return boost::urls::encode(text, boost::urls::unreserved_chars);
}

}  // namespace sharedlock::client
