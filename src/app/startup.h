#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"

namespace sharedlock {

// Why a server with these settings must not start, in a sentence for people: it would not do what it was told to. A
// server that was told to check tokens is never an open one.
std::optional<std::string> refusal(const config::Settings& settings);

// Settings that were changed but have no effect in this version; one sentence each, for the log.
std::vector<std::string> without_effect(const config::Settings& settings);

}  // namespace sharedlock
