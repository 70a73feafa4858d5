#include "http/target.h"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/pct_string_view.hpp>
#include <boost/url/url_view.hpp>

namespace sharedlock::http {

namespace {

Target target_of(const boost::urls::url_view& url) {
  auto path = url.encoded_path();
  auto query = url.encoded_query();
  return {path.empty() ? "/" : std::string_view(path.data(), path.size()),
          query.empty() ? std::string_view() : std::string_view(query.data(), query.size())};
}

}  // namespace

std::optional<Target> parse_target(std::string_view target) {
  if (target.empty()) return std::nullopt;
  if (target == "*") return Target{target, {}};
  if (target.front() == '/') {
    auto url = boost::urls::parse_origin_form(target);
    if (!url) return std::nullopt;
    return target_of(*url);
  }
  auto url = boost::urls::parse_absolute_uri(target);
  if (!url || !url->has_authority()) return std::nullopt;
  return target_of(*url);
}

std::string decode(std::string_view piece) {
  if (piece.find('%') == std::string_view::npos) return std::string(piece);
  return boost::urls::pct_string_view(piece).decode();
}

std::string decode_form(std::string_view piece) {
  std::string text(piece);
  std::ranges::replace(text, '+', ' ');  // before the escapes, which may stand for a plus
  return decode(text);
}

}  // namespace sharedlock::http
