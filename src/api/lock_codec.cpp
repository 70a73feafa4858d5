#include "api/lock_codec.h"

#include <algorithm>
#include <unordered_set>

#include "api/flat_object.h"
#include "base/json_text.h"

namespace sharedlock {

namespace {

constexpr std::size_t kShortestName = 3;
constexpr std::size_t kLongestName = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Characters, not bytes: those that continue a UTF-8 sequence don't count.
std::size_t length_of(std::string_view text) {
  auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<std::size_t>(std::ranges::count_if(text, begins));
}

bool has_name_length(std::string_view text) {
  std::size_t length = length_of(text);
  return length >= kShortestName && length <= kLongestName;
}

// The body against its schema; each check adds what it finds wrong.
class BodyReader {
 public:
  BodyReader(const JsonBody& body, LockBodySchema schema) : body_(body), schema_(schema) {}

  std::variant<LockBody, ValidationErrors> read() {
    check_members();
    if (schema_.names) read_names();
    if (schema_.duration) read_duration();
    if (schema_.instance) read_instance();
    if (schema_.from) read_from();
    if (schema_.token) read_token();
    if (schema_.wait) read_wait();
    if (!errors_.empty()) return std::move(errors_);
    return std::move(result_);
  }

 private:
  bool is_allowed(std::string_view name) const {
    return (schema_.instance && name == "instanceId") || (schema_.duration && name == "leaseDuration") ||
           (schema_.from && name == "from") || (schema_.token && name == "fencingToken") ||
           (schema_.wait && name == "wait") || (schema_.names && name == "names");
  }

  const JsonMember* find(std::string_view name) const {
    auto last =
        std::find_if(body_.members.rbegin(), body_.members.rend(), [&](const auto& m) { return m.name == name; });
    return last == body_.members.rend() ? nullptr : &*last;
  }

  // Each unknown property is named once, and no more of them than help: the answer must not outgrow the request.
  void check_members() {
    constexpr std::size_t kMostNamed = 20;
    for (const JsonMember& member : body_.members) {
      if (is_allowed(member.name) || errors_.size() == kMostNamed) continue;
      std::string error = "$: property '" + member.name +
                          "' is not defined in the schema and the schema does not allow additional properties";
      if (std::ranges::find(errors_, error) == errors_.end()) errors_.push_back(std::move(error));
    }
    auto require = [this](std::string_view name) {
      if (!find(name)) errors_.push_back("$: required property '" + std::string(name) + "' not found");
    };
    if (schema_.names) require("names");
    if (schema_.instance) require("instanceId");
    if (schema_.duration) require("leaseDuration");
    if (schema_.needs_token) require("fencingToken");
  }

  // The member if it is there and of that kind.
  const JsonMember* of_kind(std::string_view name, JsonKind kind) {
    const JsonMember* member = find(name);
    if (!member || member->kind == kind) return member;
    fail(name, std::string(name_of(member->kind)) + " found, " + std::string(name_of(kind)) + " expected");
    return nullptr;
  }

  void fail(std::string_view name, std::string_view what) {
    errors_.push_back(std::string("$.").append(name).append(": ").append(what));
  }

  void read_duration() {
    const JsonMember* member = of_kind("leaseDuration", JsonKind::integer);
    if (!member) return;
    if (member->integer < 1) fail("leaseDuration", "must have a minimum value of 1");
    if (member->integer > kLongestLeaseDuration.count()) fail("leaseDuration", "must have a maximum value of 86400");
    result_.duration = std::chrono::seconds(member->integer);
  }

  void read_instance() {
    const JsonMember* member = of_kind("instanceId", JsonKind::string);
    if (!member) return;
    check_text("instanceId", member->text);
    result_.instance = member->text;
  }

  // A name or an instance.
  void check_text(std::string_view where, std::string_view text) {
    std::size_t length = length_of(text);
    if (length < kShortestName) fail(where, "must be at least 3 characters long");
    if (length > kLongestName) fail(where, "must be at most 64 characters long");
    if (text.empty() || !std::ranges::all_of(text, is_name_character)) {
      fail(where, "does not match the regex pattern ^[a-zA-Z0-9_-]+$");
    }
  }

  void read_names() {
    const JsonMember* member = of_kind("names", JsonKind::array);
    if (!member) return;
    std::string found = " items but found " + std::to_string(member->length);
    if (member->length < 1) fail("names", "must have at least 1" + found);
    if (member->length > kMostInSet) {
      fail("names", "must have at most " + std::to_string(kMostInSet) + found);
      return;
    }
    std::unordered_set<std::string_view> known;
    for (std::size_t i = 0; i < member->length; ++i) {
      const JsonItem& item = member->items[i];
      std::string where = "names[" + std::to_string(i) + "]";
      if (item.kind == JsonKind::string) {
        check_text(where, item.text);
      } else {
        fail(where, std::string(name_of(item.kind)) + " found, string expected");
      }
      known.insert(item.text);
      result_.names.push_back(item.text);
    }
    if (known.size() < member->length) fail("names", "must have only unique items in the array");
  }

  void read_from() {
    const JsonMember* member = of_kind("from", JsonKind::string);
    if (!member) return;
    if (member->text != "now") fail("from", "does not have a value in the enumeration [now]");
    result_.from = RenewFrom::now;
  }

  void read_token() {
    const JsonMember* member = of_kind("fencingToken", JsonKind::integer);
    if (!member) return;
    if (member->integer < 1) fail("fencingToken", "must have a minimum value of 1");
    result_.token = FencingToken{member->integer};
  }

  void read_wait() {
    const JsonMember* member = of_kind("wait", JsonKind::integer);
    if (!member) return;
    if (member->integer < 0) fail("wait", "must have a minimum value of 0");
    if (member->integer > kLongestWait.count()) fail("wait", "must have a maximum value of 3600");
    result_.wait = std::chrono::seconds(member->integer);
  }

  const JsonBody& body_;
  LockBodySchema schema_;
  LockBody result_;
  ValidationErrors errors_;
};

void check_name(ValidationErrors& errors, std::string_view parameter, std::string_view title, std::string_view text) {
  auto fail = [&](std::string_view what) {
    errors.push_back("Parameter '" + std::string(parameter) + "' failed validation: " + std::string(title) +
                     std::string(what));
  };
  bool sane = std::ranges::all_of(text, is_name_character);
  if (sane && text.size() >= kShortestName && text.size() <= kLongestName) return;
  if (!has_name_length(text)) fail(" must be between 3 and 64 characters long");
  if (!sane) fail(" must be alphanumeric with dashes and underscores only");
}

}  // namespace

std::variant<LockBody, ValidationErrors> parse_lock_body(std::string_view text, LockBodySchema schema) {
  auto body = parse_json_body(text);
  if (!body) return ValidationErrors{body.error().message};
  if (body->kind != JsonKind::object) {
    return ValidationErrors{"$: " + std::string(name_of(body->kind)) + " found, object expected"};
  }
  return BodyReader(*body, schema).read();
}

ValidationErrors check_space(std::string_view space) {
  ValidationErrors errors;
  check_name(errors, "namespace", "Namespace", space);
  return errors;
}

ValidationErrors check_lock_path(std::string_view space, std::string_view name) {
  ValidationErrors errors = check_space(space);
  check_name(errors, "lockName", "Lock name", name);
  return errors;
}

std::string validation_json(std::string_view message, const ValidationErrors& details) {
  std::string list = "[";
  for (const std::string& detail : details) {
    if (list.size() > 1) list += ',';
    append_json_string(list, detail);
  }
  return JsonObject().text("message", message).raw("details", list + ']').take();
}

namespace {

JsonObject lock_members(const LockGrant& grant) {
  JsonObject json;
  json.boolean("success", true)
      .text("namespace", grant.record.lock.space)
      .text("lockName", grant.record.lock.name)
      .text("owner", grant.record.holder.owner)
      .text("instanceId", grant.record.holder.instance)
      .number("leaseDuration", grant.record.duration.count())
      .number("expiry", grant.record.expiry.time_since_epoch().count());
  return json;
}

JsonObject state_members(const LockName& name, const std::optional<HeldLock>& lock) {
  JsonObject json;
  json.text("namespace", name.space).text("lockName", name.name);
  if (lock) {
    json.text("owner", lock->record.holder.owner).number("expiry", lock->record.expiry.time_since_epoch().count());
  }
  return json;
}

}  // namespace

std::string to_json(const LockGrant& grant) {
  return lock_members(grant).number("fencingToken", number_of(grant.token)).number("ttl", grant.ttl.count()).take();
}

std::string to_strict_json(const LockGrant& grant) {
  return lock_members(grant).take();
}

std::string to_json(const LockName& name, const Refused& refused) {
  JsonObject json;
  json.boolean("success", false).text("namespace", name.space).text("lockName", name.name);
  if (refused.holder) {
    json.text("owner", refused.holder->owner).number("expiry", refused.holder->expiry.time_since_epoch().count());
  }
  if (refused.ahead) json.number("ahead", static_cast<std::int64_t>(*refused.ahead));
  return json.take();
}

std::string to_json(const LockName& name, const std::optional<HeldLock>& lock, std::size_t waiters) {
  JsonObject json = state_members(name, lock);
  if (lock) {
    json.number("fencingToken", number_of(lock->token)).number("waiters", static_cast<std::int64_t>(waiters));
  }
  return json.take();
}

std::string to_strict_json(const LockName& name, const std::optional<HeldLock>& lock) {
  return state_members(name, lock).take();
}

std::string verify_json(FencingToken asked, const std::optional<HeldLock>& lock) {
  return JsonObject()
      .boolean("valid", lock && lock->token == asked)
      .number("current", lock ? number_of(lock->token) : 0)
      .take();
}

std::string to_json(const SetGrant& grant) {
  EpochSeconds expiry = EpochSeconds::max();
  Ttl ttl = Ttl::max();
  std::string locks;
  for (const LockGrant& lock : grant) {
    expiry = std::min(expiry, lock.record.expiry);
    ttl = std::min(ttl, lock.ttl);
    locks += locks.empty() ? '[' : ',';
    locks += JsonObject().text("lockName", lock.record.lock.name).number("fencingToken", number_of(lock.token)).take();
  }
  return JsonObject()
      .boolean("success", true)
      .number("expiry", expiry.time_since_epoch().count())
      .number("ttl", ttl.count())
      .raw("locks", locks + ']')
      .take();
}

std::string released_json(const std::vector<std::string>& names) {
  std::string locks;
  for (const std::string& name : names) {
    locks += locks.empty() ? '[' : ',';
    locks += JsonObject().text("lockName", name).take();
  }
  return JsonObject().boolean("success", true).raw("locks", locks + ']').take();
}

std::string to_json(const SetRefused& refused) {
  std::string names;
  for (const std::string& name : refused.blocked_by) {
    names += names.empty() ? '[' : ',';
    append_json_string(names, name);
  }
  JsonObject json;
  json.boolean("success", false).raw("blockedBy", names + ']');
  if (refused.ahead) json.number("ahead", static_cast<std::int64_t>(*refused.ahead));
  return json.take();
}

std::string success_json(bool success, const LockName& name) {
  return JsonObject().boolean("success", success).text("namespace", name.space).text("lockName", name.name).take();
}

}  // namespace sharedlock
