#pragma once

#include <string>

namespace sharedlock {

// The variable that tells a command all locks under which it runs, as "namespace/name" with a space before each.
inline constexpr const char* kHeldVariable = "SHARED_LOCK_HELD";

// Its value for a command that also runs under this lock.
std::string held_under(const std::string& namespace_name, const std::string& name);

// The message about a lock that a `shared-lock run` above this process holds: it ends only when this one has ended.
// Empty for any other lock.
std::string held_around(const std::string& namespace_name, const std::string& name);

}  // namespace sharedlock
