#include "queue/line_place.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/json_text.h"
#include "base/sha256.h"

namespace sharedlock {

namespace json = boost::json;

namespace {

// 120 bits: as many as a string holds without an allocation, and a line keeps four such strings for each waiter.
Identity short_identity(std::string_view owner, std::string_view instance) {
  constexpr std::size_t kBytes = 15;
  std::string digits = sha256_hex(std::string(instance).append(owner));
  Identity identity(kBytes, '\0');
  for (std::size_t i = 0; i < kBytes; ++i) {
    unsigned char byte = 0;
    std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, byte, 16);
    identity[i] = static_cast<char>(byte);
  }
  return identity;
}

}  // namespace

std::string joined_again(std::string json, Revision since) {
  json.pop_back();
  return std::move(json) + ",\"since\":" + std::to_string(number_of(since)) + "}";
}

std::string to_json(const LinePlace& place) {
  std::string names = "[";
  for (const std::string& name : place.names) {
    if (names.size() > 1) names += ',';
    append_json_string(names, name);
  }
  std::string json = JsonObject()
                         .text("owner", place.owner)
                         .text("instance", place.instance)
                         .text("server", place.server)
                         .raw("names", names + ']')
                         .take();
  return place.since == kAbsent ? json : joined_again(std::move(json), place.since);
}

Result<LinePlace> parse_line_place(const std::string& text) {
  try {
    const json::value parsed = json::parse(text);
    const json::object& members = parsed.as_object();
    LinePlace place{.owner = std::string(members.at("owner").as_string()),
                    .instance = std::string(members.at("instance").as_string()),
                    .server = std::string(members.at("server").as_string()),
                    .names = {},
                    .since = kAbsent};
    for (const json::value& name : members.at("names").as_array()) place.names.emplace_back(name.as_string());
    if (auto* since = members.if_contains("since")) place.since = Revision{since->as_int64()};
    return place;
  } catch (const std::exception&) {
    return Error{Errc::corrupt, "a place in line can't be read"};
  }
}

Identity identity_of(const std::string& owner, const std::string& instance) {
  return short_identity(owner, sha256_hex(instance));
}

Identity identity_of(const LinePlace& place) {
  return place.instance.empty() ? Identity() : short_identity(place.owner, place.instance);
}

}  // namespace sharedlock
