#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lock/lock_service.h"
#include "lock/types.h"

namespace sharedlock {

// What is wrong with a request, in the words that LockServiceCentral's clients know, in its order.
using ValidationErrors = std::vector<std::string>;

struct LockBody {
  std::string instance;
  std::chrono::seconds duration{};  // acquire and renew
  RenewFrom from = RenewFrom::expiry;
  std::optional<FencingToken> token;  // renew and release
};

// Which members a body may have: instanceId always; the duration is required where it is allowed.
struct LockBodySchema {
  bool duration;
  bool from;
  bool token;
};
inline constexpr LockBodySchema kAcquireBody{.duration = true, .from = false, .token = false};
inline constexpr LockBodySchema kRenewBody{.duration = true, .from = true, .token = true};
inline constexpr LockBodySchema kReleaseBody{.duration = false, .from = false, .token = true};

// Reads a body, or says everything that is wrong with it.
std::variant<LockBody, ValidationErrors> parse_lock_body(std::string_view body, LockBodySchema schema);

// What is wrong with the path's namespace and lock name; empty when nothing is.
ValidationErrors check_lock_path(std::string_view space, std::string_view name);

// {"message":…,"details":[…]}
std::string validation_json(std::string_view message, const ValidationErrors& details);

// The answer to acquire and renew.
std::string to_json(const LockGrant& grant);
// The answer to GET: who holds the lock, if anybody does. Never the instance.
std::string to_json(const LockName& name, const std::optional<HeldLock>& lock);
// {"success":…,"namespace":…,"lockName":…}
std::string success_json(bool success, const LockName& name);

}  // namespace sharedlock
