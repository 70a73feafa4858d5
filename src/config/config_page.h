#pragma once

#include <string>

#include "config/loader.h"

namespace sharedlock::config {

// docs/configuration.md: every setting with its names, default and meaning. The same on every machine.
std::string markdown_page();

// The output of `shared-lock config`: a line for each setting with its value and the value's origin. Secrets are shown
// as "(secret)".
std::string effective_settings(const LoadedSettings& loaded);

}  // namespace sharedlock::config
