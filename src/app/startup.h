#pragma once

#include <optional>
#include <string>

#include "config/settings.h"

namespace sharedlock {

// Why a server with these settings must not start, in a sentence for people: it would not do what the settings say. A
// server told to check tokens never runs open.
std::optional<std::string> refusal(const config::Settings& settings);

}  // namespace sharedlock
