#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lock/lock_answers.h"
#include "lock/types.h"

namespace sharedlock {

// Headers of answers to acquire and renew; GET has only the token's. Strict answers have these values nowhere else.
inline constexpr std::string_view kTokenHeader = "X-Fencing-Token";
inline constexpr std::string_view kLockTtlHeader = "X-Lock-Ttl";  // seconds

// The faults of a request, in the words and the order of LockServiceCentral.
using ValidationErrors = std::vector<std::string>;

struct LockBody {
  std::vector<std::string> names;  // of a set
  std::string instance;
  std::chrono::seconds duration{};  // acquire and renew
  RenewFrom from = RenewFrom::expiry;
  std::optional<FencingToken> token;  // renew and release
  std::chrono::seconds wait{};        // acquire
  std::chrono::seconds keep_place{};  // acquire
};

// The members that a body may have; names, instanceId and the duration are required if they are allowed.
struct LockBodySchema {
  bool duration = false;
  bool from = false;
  bool token = false;
  bool wait = false;  // and keepPlace
  bool instance = true;
  bool needs_token = false;
  bool names = false;
};
inline constexpr LockBodySchema kAcquireBody{.duration = true, .wait = true};
inline constexpr LockBodySchema kRenewBody{.duration = true, .from = true, .token = true};
inline constexpr LockBodySchema kReleaseBody{.token = true};
inline constexpr LockBodySchema kVerifyBody{.token = true, .instance = false, .needs_token = true};
inline constexpr LockBodySchema kAcquireSetBody{.duration = true, .wait = true, .names = true};
inline constexpr LockBodySchema kRenewSetBody{.duration = true, .from = true, .names = true};
inline constexpr LockBodySchema kReleaseSetBody{.names = true};

// Reads a body, or reports everything that is wrong with it.
std::variant<LockBody, ValidationErrors> parse_lock_body(std::string_view body, LockBodySchema schema);

// Whether `text` can name a lock, a namespace or an instance.
bool is_name(std::string_view text);

// The faults of the path's namespace and lock name; empty when there are none, which is when both are names.
ValidationErrors check_namespace(std::string_view namespace_name);
ValidationErrors check_lock_path(std::string_view namespace_name, std::string_view name);

// {"message":…,"details":[…]}
std::string validation_json(std::string_view message, const ValidationErrors& details);

// The answer to acquire and renew; the strict one has exactly the members of LockServiceCentral's.
std::string to_json(const LockGrant& grant);
std::string to_strict_json(const LockGrant& grant);
// The refusal of an acquire: it names the holder; after a wait it also says how many were ahead in the queue.
std::string to_json(const LockName& name, const Refused& refused);
// The answer to GET: the lock's holder, if there is one. Never the instance.
std::string to_json(const LockName& name, const std::optional<HeldLock>& lock, std::size_t waiters);
std::string to_strict_json(const LockName& name, const std::optional<HeldLock>& lock);
// The answer to verify: whether `asked` is the present holder's token.
std::string verify_json(FencingToken asked, const std::optional<HeldLock>& lock);
// How long all locks of a set are safe.
Ttl ttl_of(const SetGrant& grant);
// Of sets: {"success":true,"expiry":…,"ttl":…,"locks":[{"lockName":…,"fencingToken":…},…]}, with the expiry and ttl of
// the lock that ends first; {"success":true,"locks":[{"lockName":…},…]}; and {"success":false,"blockedBy":[…]}, with
// `ahead` as for one lock.
std::string to_json(const SetGrant& grant);
std::string released_json(const std::vector<std::string>& names);
std::string to_json(const SetRefused& refused);
// {"success":…,"namespace":…,"lockName":…}
std::string success_json(bool success, const LockName& name);

}  // namespace sharedlock
