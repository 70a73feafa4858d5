#pragma once

#include <string>

#include "config/loader.h"

namespace sharedlock::config {

// docs/configuration.md: every setting with its names, default and meaning. The same on every machine.
std::string markdown_page();

// What `shared-lock config` prints: a line for each setting with its value and where that came from. Secrets are
// shown as "(secret)".
std::string effective_settings(const LoadedSettings& loaded);

}  // namespace sharedlock::config
