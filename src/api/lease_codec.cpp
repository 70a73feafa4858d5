#include "api/lease_codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>

#include "api/flat_object.h"
#include "base/go_duration.h"
#include "base/json_text.h"
#include "http/target.h"
#include "http/text.h"

namespace sharedlock {

namespace {

Error bad(std::string why) {
  return {Errc::invalid_argument, std::move(why)};
}

// The last member with that name that is not null.
const JsonMember* find(const JsonBody& body, std::string_view name) {
  auto is_it = [&](const JsonMember& member) {
    return member.kind != JsonKind::null && http::equal_ignoring_case(member.name, name);
  };
  auto last = std::find_if(body.members.rbegin(), body.members.rend(), is_it);
  return last == body.members.rend() ? nullptr : &*last;
}

// A part of the body.
Result<std::string_view> string_member(const JsonBody& body, std::string_view name) {
  const JsonMember* member = find(body, name);
  if (!member) return std::string_view();
  if (member->kind == JsonKind::string) return member->text;
  return bad(std::string(name) + ": " + std::string(name_of(member->kind)) + " found, string expected");
}

Result<std::string_view> labels_member(const JsonBody& body) {
  const JsonMember* member = find(body, "labels");
  if (!member) return std::string_view();
  if (member->maps_strings) return member->text;
  return bad("labels: a map of strings expected");
}

// Takes `digits` decimal digits off the front; nothing when there are fewer.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int number = 0;
  if (text.size() < digits) return std::nullopt;
  auto end = text.data() + digits;
  auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ptr != end || text.front() == '-') return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool take_number_up_to(std::string_view& text, int largest) {
  auto number = take_number(text, 2);
  return number && *number <= largest;
}

bool take_date(std::string_view& text) {
  auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return false;
  auto month = take_number(text, 2);
  if (!month || !take(text, "-")) return false;
  auto day = take_number(text, 2);
  using namespace std::chrono;
  return day && year_month_day(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                               std::chrono::day(static_cast<unsigned>(*day)))
                    .ok();
}

bool is_rfc3339(std::string_view text) {
  if (!take_date(text) || !take(text, "Tt")) return false;
  if (!take_number_up_to(text, 23) || !take(text, ":")) return false;
  if (!take_number_up_to(text, 59) || !take(text, ":") || !take_number_up_to(text, 60)) return false;
  if (take(text, ".")) {
    if (!take(text, "0123456789")) return false;
    while (take(text, "0123456789")) {
    }
  }
  if (take(text, "Zz")) return text.empty();
  return take(text, "+-") && take_number_up_to(text, 23) && take(text, ":") && take_number_up_to(text, 59) &&
         text.empty();
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// A number of digits alone, up to `largest`: that may be the largest of 63 bits, or one more.
std::optional<std::uint64_t> read_digits(std::string_view digits, std::uint64_t largest) {
  std::uint64_t number = 0;
  for (char c : digits) {
    bool overflows = number > largest / 10;
    if (c < '0' || c > '9' || overflows) return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return digits.empty() || number > largest ? std::nullopt : std::optional(number);
}

}  // namespace

Result<LeaseBody> parse_lease_body(std::string_view text) {
  auto body = parse_json_body(text);
  if (!body) return body.error();
  if (body->kind != JsonKind::object) return bad(std::string(name_of(body->kind)) + " found, object expected");
  auto key = string_member(*body, "key");
  if (!key) return key.error();
  if (key->empty()) return bad("key: a non-empty string expected");
  if (key->size() > kLongestLeaseKey) return bad("key: longer than 1024 bytes");
  auto value = string_member(*body, "value");
  if (!value) return value.error();
  auto labels = labels_member(*body);
  if (!labels) return labels.error();
  auto timestamp = string_member(*body, "timestamp");
  if (!timestamp) return timestamp.error();
  if (!timestamp->empty() && !is_rfc3339(*timestamp)) return bad("timestamp: not a time in the form of RFC 3339");
  return LeaseBody{std::string(*key), std::string(*value), std::string(*labels), std::string(*timestamp)};
}

Result<Ttl> parse_lease_ttl(std::string_view text, std::chrono::nanoseconds largest) {
  auto ttl = parse_go_duration(text);
  if (!ttl || *ttl <= std::chrono::nanoseconds(0)) {
    return bad("a positive duration with a unit expected, such as 60s, 1m30s or 1.5h");
  }
  if (*ttl > largest) return bad("longer than the longest allowed here, " + to_go_duration(largest));
  return std::max(Ttl{1}, std::chrono::ceil<Ttl>(*ttl));
}

Result<std::chrono::nanoseconds> parse_lease_wait(std::string_view text) {
  auto wait = parse_go_duration(text);
  if (!wait || *wait < std::chrono::nanoseconds(0)) return bad("a duration with a unit expected, such as 30s or 1m30s");
  if (*wait > kLongestLeaseWait) return bad("longer than the longest allowed, 1h");
  return *wait;
}

Result<std::chrono::nanoseconds> parse_lease_keep_place(std::string_view text) {
  bool bare = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  auto span = parse_go_duration(bare ? std::string(text) + 's' : std::string(text));
  if (!span || *span < std::chrono::nanoseconds(0)) return bad("a duration expected, such as 10s");
  if (*span > kLongestKeptPlace) return bad("longer than the longest allowed, 10s");
  return *span;
}

Result<LeaseId> parse_chosen_lease_id(std::string_view text) {
  auto id = parse_lease_id(text);
  if (id && *id >= kSmallestChosenLeaseId) return id;
  return bad("a random number from 1099511627776 to 9223372036854775807 expected");
}

Result<std::string> parse_lease_query(std::string_view query) {
  std::optional<std::string> key;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    auto equals = std::min(pair.find('='), pair.size());
    if (http::decode_form(pair.substr(0, equals)) != "key") continue;
    if (key) return bad("key: given twice");
    key = http::decode_form(pair.substr(std::min(pair.size(), equals + 1)));
  }
  if (!key || key->empty()) return bad("key: a non-empty string expected, as in /lease?key=name");
  if (key->size() > kLongestLeaseKey) return bad("key: longer than 1024 bytes");
  if (!is_utf8(*key)) return bad("key: not UTF-8");
  return *std::move(key);
}

std::string to_json(const std::string& key, const HeldLease& lease) {
  JsonObject json;
  json.text("key", key).text("value", lease.value);
  if (lease.left) json.number("ttl", lease.left->count());
  return json.number("fencingToken", number_of(lease.token)).take();
}

Result<LeaseId> parse_lease_id(std::string_view body) {
  while (!body.empty() && is_space(body.front())) body.remove_prefix(1);
  while (!body.empty() && is_space(body.back())) body.remove_suffix(1);
  bool negative = body.starts_with('-');
  if (negative || body.starts_with('+')) body.remove_prefix(1);
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  auto magnitude = read_digits(body, negative ? kLargest + 1 : kLargest);
  if (!magnitude) return bad("not a decimal 64-bit number");
  return LeaseId{static_cast<std::int64_t>(negative ? 0 - *magnitude : *magnitude)};
}

}  // namespace sharedlock
