#include "lock/lock_record.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstddef>

#include "base/json_text.h"
#include "store/fencing_token.h"

namespace sharedlock {

namespace {

namespace json = boost::json;

// Far beyond any date that makes sense, and far from where adding a duration could overflow.
constexpr std::int64_t kLargestEpochSecond = 1'000'000'000'000;

Error unreadable(std::string why) {
  return {Errc::corrupt, "lock record unreadable: " + std::move(why)};
}

bool is_known(std::string_view name) {
  return name == "namespace" || name == "lockName" || name == "owner" || name == "instanceId" ||
         name == "leaseDuration" || name == "expiry" || name == "fencingToken";
}

// Walks over the members of an object that is known to be valid JSON; only so much of a reader as it takes to find
// where each member's text begins and ends.
class MemberScanner {
 public:
  explicit MemberScanner(std::string_view object) : text_(object) { skip_past('{'); }

  // Moves to the next member; false at the end of the object.
  bool next() {
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '}') return false;
      ++at_;
    }
    if (at_ == text_.size()) return false;
    begin_ = at_;
    skip_string();
    name_ = text_.substr(begin_, at_ - begin_);
    skip_past(':');
    skip_value();
    return true;
  }

  std::string_view quoted_name() const { return name_; }
  std::string_view member() const {
    std::size_t end = text_.find_last_not_of(" \t\r\n", at_ - 1);
    return text_.substr(begin_, end + 1 - begin_);
  }

 private:
  void skip_past(char c) { at_ = text_.find(c, at_) + 1; }

  void skip_string() {
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }

  // Ends at the comma or the brace behind the value.
  void skip_value() {
    int depth = 0;
    while (true) {
      char c = text_[at_];
      if (c == '"') {
        skip_string();
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}')) return;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;
  std::string_view name_;
};

std::string unknown_members_of(std::string_view object) {
  std::string unknown;
  for (MemberScanner members(object); members.next();) {
    // A name may be written with escapes; parsing it is the only sure way to read it.
    json::value name = json::parse(members.quoted_name());
    if (is_known(name.get_string())) continue;
    unknown += ',';
    unknown += members.member();
  }
  return unknown;
}

Result<std::string> text_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_string()) return unreadable(std::string(name) + " is not a string");
  return std::string(value->get_string());
}

std::string text_or_empty(const json::object& object, std::string_view name) {
  auto text = text_member(object, name);
  return text ? *std::move(text) : std::string();
}

Result<std::int64_t> integer_member(const json::object& object, std::string_view name, std::int64_t largest) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_int64()) return unreadable(std::string(name) + " is not an integer");
  if (value->get_int64() < 0 || value->get_int64() > largest) return unreadable(std::string(name) + " is out of range");
  return value->get_int64();
}

Result<void> read_token(const json::object& object, LockRecord& record) {
  const json::value* value = object.if_contains("fencingToken");
  if (!value) return {};
  if (!value->is_int64() || value->get_int64() <= 0) return unreadable("fencingToken is not a positive integer");
  record.carried_token = FencingToken{value->get_int64()};
  return {};
}

}  // namespace

std::string to_json(const LockRecord& record) {
  JsonObject json;
  json.text("namespace", record.lock.namespace_name).text("lockName", record.lock.name);
  if (record.holder.ownerless) {
    json.raw("owner", "null");
  } else {
    json.text("owner", record.holder.owner);
  }
  json.text("instanceId", record.holder.instance)
      .number("leaseDuration", record.duration.count())
      .number("expiry", record.expiry.time_since_epoch().count());
  if (record.carried_token) json.number("fencingToken", number_of(*record.carried_token));
  return json.members(record.unknown_members).take();
}

Result<LockRecord> parse_lock_record(std::string_view text) {
  boost::system::error_code bad;
  json::value parsed = json::parse(text, bad);
  if (bad) return unreadable("not JSON");
  if (!parsed.is_object()) return unreadable("not an object");
  const json::object& object = parsed.get_object();

  LockRecord record;
  const json::value* no_owner = object.if_contains("owner");
  bool ownerless = no_owner && no_owner->is_null();
  auto owner = ownerless ? Result<std::string>(std::string()) : text_member(object, "owner");
  if (!owner) return owner.error();
  auto instance = text_member(object, "instanceId");
  if (!instance) return instance.error();
  auto duration = integer_member(object, "leaseDuration", kLargestEpochSecond);
  if (!duration) return duration.error();
  auto expiry = integer_member(object, "expiry", kLargestEpochSecond);
  if (!expiry) return expiry.error();
  if (auto token = read_token(object, record); !token) return token.error();

  record.holder = {*std::move(owner), *std::move(instance), ownerless};
  record.duration = std::chrono::seconds(*duration);
  record.expiry = EpochSeconds(std::chrono::seconds(*expiry));
  record.lock = {text_or_empty(object, "namespace"), text_or_empty(object, "lockName")};
  record.unknown_members = unknown_members_of(text);
  return record;
}

std::optional<std::string> owner_of(const HeldLock& lock) {
  if (lock.record.holder.ownerless) return std::nullopt;
  return lock.record.holder.owner;
}

Result<HeldLock> read_held_lock(const Entry& entry, std::int64_t token_base) {
  auto record = parse_lock_record(entry.value);
  if (!record) return record.error();
  FencingToken own = token_at(entry.revision, token_base);
  FencingToken token = record->carried_token.value_or(own);
  if (token > own) return unreadable("fencingToken is above the entry's revision");
  return HeldLock{.record = *std::move(record), .token = token, .revision = entry.revision, .lease = entry.lease};
}

}  // namespace sharedlock
