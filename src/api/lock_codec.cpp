#include "api/lock_codec.h"

#include <algorithm>
#include <array>

#include "api/flat_object.h"
#include "base/json_text.h"

namespace sharedlock {

namespace {

constexpr std::size_t kShortestName = 3;
constexpr std::size_t kLongestName = 64;

constexpr auto kIsNameCharacter = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (char c : {'_', '-'}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool has_name_characters(std::string_view text) {
  for (char c : text) {
    if (!kIsNameCharacter[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

// Characters, not bytes: continuation bytes of a UTF-8 sequence don't count.
std::size_t length_of(std::string_view text) {
  auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<std::size_t>(std::ranges::count_if(text, begins));
}

bool has_name_length(std::string_view text) {
  std::size_t length = length_of(text);
  return length >= kShortestName && length <= kLongestName;
}

// The members that bodies have, and their names.
enum class Member : std::size_t { names, instance, duration, from, token, wait, keep_place };
constexpr std::array<std::string_view, 7> kMemberNames = {"names",        "instanceId", "leaseDuration", "from",
                                                          "fencingToken", "wait",       "keepPlace"};

constexpr std::string_view name_of(Member member) {
  return kMemberNames[static_cast<std::size_t>(member)];
}

// Checks the body against its schema; each check adds the faults it finds, in the order in which LockServiceCentral
// lists them: faults of allowed members, then members that are not allowed, then missing ones.
class BodyReader {
 public:
  BodyReader(const JsonBody& body, LockBodySchema schema) : body_(body), schema_(schema) {
    for (const JsonMember& member : body.members) {
      auto known = allowed(member.name);
      if (known) found_[static_cast<std::size_t>(*known)] = &member;  // the last one of a name counts
      has_unknown_ = has_unknown_ || !known;
    }
  }

  std::variant<LockBody, ValidationErrors> read() {
    if (schema_.names) read_names();
    if (schema_.instance) read_instance();
    if (schema_.duration) read_duration();
    if (schema_.from) read_from();
    if (schema_.token) read_token();
    if (schema_.wait) result_.wait = read_seconds(Member::wait, kLongestWait);
    if (schema_.wait) result_.keep_place = read_seconds(Member::keep_place, kLongestKeptPlace);
    name_unknown_members();
    name_missing_members();
    if (!errors_.empty()) return std::move(errors_);
    return std::move(result_);
  }

 private:
  std::optional<Member> allowed(std::string_view name) const {
    for (std::size_t i = 0; i < kMemberNames.size(); ++i) {
      if (name == kMemberNames[i]) return allows(Member{i}) ? std::optional(Member{i}) : std::nullopt;
    }
    return std::nullopt;
  }

  bool allows(Member member) const {
    switch (member) {
      case Member::names:
        return schema_.names;
      case Member::instance:
        return schema_.instance;
      case Member::duration:
        return schema_.duration;
      case Member::from:
        return schema_.from;
      case Member::token:
        return schema_.token;
      case Member::wait:
      case Member::keep_place:
        return schema_.wait;
    }
    return false;
  }

  const JsonMember* find(Member member) const { return found_[static_cast<std::size_t>(member)]; }

  // Each unknown property is named once, and only as many as help: the answer must not outgrow the request.
  void name_unknown_members() {
    constexpr std::size_t kMostNamed = 20;
    if (!has_unknown_) return;
    const std::size_t most = errors_.size() + kMostNamed;
    for (const JsonMember& member : body_.members) {
      if (allowed(member.name) || errors_.size() == most) continue;
      std::string error = "$: property '" + std::string(member.name) +
                          "' is not defined in the schema and the schema does not allow additional properties";
      if (std::ranges::find(errors_, error) == errors_.end()) errors_.push_back(std::move(error));
    }
  }

  void name_missing_members() {
    auto require = [this](Member member) {
      if (!find(member)) errors_.push_back("$: required property '" + std::string(name_of(member)) + "' not found");
    };
    if (schema_.names) require(Member::names);
    if (schema_.instance) require(Member::instance);
    if (schema_.duration) require(Member::duration);
    if (schema_.needs_token) require(Member::token);
  }

  // The member if it is there and of that kind.
  const JsonMember* of_kind(Member which, JsonKind kind) {
    const JsonMember* member = find(which);
    if (!member || member->kind == kind) return member;
    fail(which, std::string(name_of(member->kind)) + " found, " + std::string(name_of(kind)) + " expected");
    return nullptr;
  }

  const std::int64_t* integer(Member which) {
    const JsonMember* member = find(which);
    if (member && !member->integer) of_kind(which, JsonKind::integer);
    return member && member->integer ? &*member->integer : nullptr;
  }

  void fail(Member member, std::string_view what) { fail(name_of(member), what); }
  void fail(std::string_view name, std::string_view what) {
    errors_.push_back(std::string("$.").append(name).append(": ").append(what));
  }

  void read_duration() {
    const std::int64_t* value = integer(Member::duration);
    if (!value) return;
    if (*value < 1) fail(Member::duration, "must have a minimum value of 1");
    if (*value > kLongestLeaseDuration.count()) fail(Member::duration, "must have a maximum value of 86400");
    result_.duration = std::chrono::seconds(*value);
  }

  void read_instance() {
    const JsonMember* member = of_kind(Member::instance, JsonKind::string);
    if (!member) return;
    if (!is_name(member->text)) add_faults_of_name(name_of(Member::instance), member->text);
    result_.instance = std::string(member->text);
  }

  // Of a lock's name or an instance that is_name() refuses.
  void add_faults_of_name(std::string_view where, std::string_view text) {
    std::size_t length = length_of(text);
    if (length < kShortestName) fail(where, "must be at least 3 characters long");
    if (length > kLongestName) fail(where, "must be at most 64 characters long");
    if (text.empty() || !has_name_characters(text)) {
      fail(where, "does not match the regex pattern ^[a-zA-Z0-9_-]+$");
    }
  }

  void read_names() {
    const JsonMember* member = of_kind(Member::names, JsonKind::array);
    if (!member) return;
    if (member->length < 1) fail(Member::names, "must have at least 1 items but found 0");
    if (member->length > kMostInSet) {
      fail(Member::names,
           "must have at most " + std::to_string(kMostInSet) + " items but found " + std::to_string(member->length));
      return;
    }
    bool unique = true;
    for (const JsonItem& item : member->items) {
      check_item(item);
      unique = unique && std::ranges::find(result_.names, item.text) == result_.names.end();
      result_.names.emplace_back(item.text);
    }
    if (!unique) fail(Member::names, "must have only unique items in the array");
  }

  // The next one of the names.
  void check_item(const JsonItem& item) {
    if (item.kind == JsonKind::string && is_name(item.text)) return;
    std::string where = "names[" + std::to_string(result_.names.size()) + "]";
    if (item.kind == JsonKind::string) {
      add_faults_of_name(where, item.text);
    } else {
      fail(where, std::string(name_of(item.kind)) + " found, string expected");
    }
  }

  void read_from() {
    const JsonMember* member = of_kind(Member::from, JsonKind::string);
    if (!member) return;
    if (member->text != "now") fail(Member::from, "does not have a value in the enumeration [now]");
    result_.from = RenewFrom::now;
  }

  void read_token() {
    const std::int64_t* value = integer(Member::token);
    if (!value) return;
    if (*value < 1) fail(Member::token, "must have a minimum value of 1");
    result_.token = FencingToken{*value};
  }

  // From 0, which also means none.
  std::chrono::seconds read_seconds(Member member, std::chrono::seconds longest) {
    const std::int64_t* value = integer(member);
    if (!value) return {};
    if (*value < 0) fail(member, "must have a minimum value of 0");
    if (*value > longest.count()) fail(member, "must have a maximum value of " + std::to_string(longest.count()));
    return std::chrono::seconds(*value);
  }

  const JsonBody& body_;
  LockBodySchema schema_;
  std::array<const JsonMember*, kMemberNames.size()> found_{};  // those that are allowed, by Member
  bool has_unknown_ = false;
  LockBody result_;
  ValidationErrors errors_;
};

void check_name(ValidationErrors& errors, std::string_view parameter, std::string_view title, std::string_view text) {
  auto fail = [&](std::string_view what) {
    errors.push_back("Parameter '" + std::string(parameter) + "' failed validation: " + std::string(title) +
                     std::string(what));
  };
  if (is_name(text)) return;
  if (!has_name_length(text)) fail(" must be between 3 and 64 characters long");
  if (!has_name_characters(text)) fail(" must be alphanumeric with dashes and underscores only");
}

}  // namespace

bool is_name(std::string_view text) {
  return text.size() >= kShortestName && text.size() <= kLongestName && has_name_characters(text);
}

std::variant<LockBody, ValidationErrors> parse_lock_body(std::string_view text, LockBodySchema schema) {
  auto body = parse_json_body(text);
  if (!body) return ValidationErrors{body.error().message};
  if (body->kind != JsonKind::object) {
    return ValidationErrors{"$: " + std::string(name_of(body->kind)) + " found, object expected"};
  }
  return BodyReader(*body, schema).read();
}

ValidationErrors check_namespace(std::string_view namespace_name) {
  ValidationErrors errors;
  check_name(errors, "namespace", "Namespace", namespace_name);
  return errors;
}

ValidationErrors check_lock_path(std::string_view namespace_name, std::string_view name) {
  ValidationErrors errors = check_namespace(namespace_name);
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
      .text("namespace", grant.record.lock.namespace_name)
      .text("lockName", grant.record.lock.name)
      .text("owner", grant.record.holder.owner)
      .text("instanceId", grant.record.holder.instance)
      .number("leaseDuration", grant.record.duration.count())
      .number("expiry", grant.record.expiry.time_since_epoch().count());
  return json;
}

// As LockServiceCentral shows it: without the owner if the record has none; `expiry` says that the lock is held.
void add_holder(JsonObject& json, const std::optional<std::string>& owner, EpochSeconds expiry) {
  if (owner) json.text("owner", *owner);
  json.number("expiry", expiry.time_since_epoch().count());
}

JsonObject state_members(const LockName& name, const std::optional<HeldLock>& lock) {
  JsonObject json;
  json.text("namespace", name.namespace_name).text("lockName", name.name);
  if (lock) {
    add_holder(json, owner_of(*lock), lock->record.expiry);
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
  json.boolean("success", false).text("namespace", name.namespace_name).text("lockName", name.name);
  if (refused.holder) {
    add_holder(json, refused.holder->owner, refused.holder->expiry);
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

Ttl ttl_of(const SetGrant& grant) {
  return std::ranges::min_element(grant, {}, &LockGrant::ttl)->ttl;
}

std::string to_json(const SetGrant& grant) {
  EpochSeconds expiry = EpochSeconds::max();
  std::string locks;
  for (const LockGrant& lock : grant) {
    expiry = std::min(expiry, lock.record.expiry);
    locks += locks.empty() ? '[' : ',';
    locks += JsonObject().text("lockName", lock.record.lock.name).number("fencingToken", number_of(lock.token)).take();
  }
  return JsonObject()
      .boolean("success", true)
      .number("expiry", expiry.time_since_epoch().count())
      .number("ttl", ttl_of(grant).count())
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
  return JsonObject()
      .boolean("success", success)
      .text("namespace", name.namespace_name)
      .text("lockName", name.name)
      .take();
}

}  // namespace sharedlock
