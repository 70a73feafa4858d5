#pragma once

#include <optional>
#include <string>

#include "config/settings.h"

namespace sharedlock {

// Why a server with these settings must not start, in a sentence for people: it would not do what it was told to. A
// server that was told to check tokens is never an open one.
std::optional<std::string> refusal(const config::Settings& settings);

}  // namespace sharedlock
