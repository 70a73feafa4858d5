#include "queue/queue_entry.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/json_text.h"
#include "base/sha256.h"

namespace sharedlock {

namespace json = boost::json;

namespace {

// 120 bits: as many as a string holds without an allocation, and a queue keeps four such strings for each waiter.
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

std::string to_json(const QueueEntry& entry) {
  std::string names = "[";
  for (const std::string& name : entry.names) {
    if (names.size() > 1) names += ',';
    append_json_string(names, name);
  }
  std::string json = JsonObject()
                         .text("owner", entry.owner)
                         .text("instance", entry.instance)
                         .text("server", entry.server)
                         .raw("names", names + ']')
                         .take();
  return entry.since == kAbsent ? json : joined_again(std::move(json), entry.since);
}

Result<QueueEntry> parse_queue_entry(const std::string& text) {
  try {
    const json::value parsed = json::parse(text);
    const json::object& members = parsed.as_object();
    QueueEntry entry{.owner = std::string(members.at("owner").as_string()),
                     .instance = std::string(members.at("instance").as_string()),
                     .server = std::string(members.at("server").as_string()),
                     .names = {},
                     .since = kAbsent};
    for (const json::value& name : members.at("names").as_array()) entry.names.emplace_back(name.as_string());
    if (auto* since = members.if_contains("since")) entry.since = Revision{since->as_int64()};
    return entry;
  } catch (const std::exception&) {
    return Error{Errc::corrupt, "a place in line can't be read"};
  }
}

Identity identity_of(const std::string& owner, const std::string& instance) {
  return short_identity(owner, sha256_hex(instance));
}

Identity identity_of(const QueueEntry& entry) {
  return entry.instance.empty() ? Identity() : short_identity(entry.owner, entry.instance);
}

}  // namespace sharedlock
