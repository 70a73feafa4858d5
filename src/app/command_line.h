#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "config/loader.h"

namespace sharedlock {

// A command's settings on its command line: `--config FILE` and a flag per option.
struct SettingsFlags {
  std::string config_file;
  std::map<std::string, std::string> flags;
};

// `--config` and a flag for each row of the options table; `into` is filled in by the parser, and must outlive the
// parsing.
std::vector<Flag> settings_flags(SettingsFlags& into);

// Flags, the environment, the file and the defaults combined. An unreadable file is one of the errors.
config::LoadedSettings load_settings(const SettingsFlags& given);

// Writes the errors to stderr; false if there are any.
bool report_errors(const config::LoadedSettings& loaded);

}  // namespace sharedlock
