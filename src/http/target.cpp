#include "http/target.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/pct_string_view.hpp>
#include <boost/url/url_view.hpp>

namespace sharedlock::http {

namespace {

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) plain[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) plain[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) plain[c] = true;
  for (char c : {'-', '.', '_', '~', '/'}) plain[static_cast<unsigned char>(c)] = true;
  return plain;
}();

bool is_plain(char c) {
  return kPlain[static_cast<unsigned char>(c)];
}

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
    // Nearly every path that we serve consists of letters, digits and dashes: there is nothing to decode.
    if (std::ranges::all_of(target, is_plain)) return Target{target, {}};
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
