#pragma once

#include <string>
#include <string_view>

#include "config/options.h"

namespace sharedlock::config {

// The form in which all spellings of a property are equal: without dashes and underscores, in lower case.
std::string uniform(std::string_view name);

// Adds the environment names that follow from the option's first property, as Spring Boot would bind them: its letters
// in upper case with `_` for each dot, and once more with `_` between words (LOCKER_ETCD_REQUESTTIMEOUTMS and
// LOCKER_ETCD_REQUEST_TIMEOUT_MS). Not for `server.port`, since SERVER_PORT is too common a name to be meant for us,
// and not below `shared-lock.`, where the table already has SHARED_LOCK_ names.
void add_environment_names(Option& option);

// The option with that property name, written exactly or in one of the relaxed forms that Spring Boot binds too: case,
// dashes and underscores do not count (`locker.etcd.key-prefix`), dots do. nullptr when there is none.
const Option* find_by_property(std::string_view name);

// The option with that flag, without the dashes. nullptr when there is none.
const Option* find_by_flag(std::string_view flag);

// True when `name` is, or would be, a property of ours, so an unknown one is a mistake: `locker.…`, `jwt.…`.
bool has_our_prefix(std::string_view name);

// The property name closest to `name`, by the number of letters to change.
std::string_view nearest_property(std::string_view name);

}  // namespace sharedlock::config
