#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "config/loader.h"

namespace sharedlock {

// What a command was given on its command line for the settings: `--config FILE` and a flag per option.
struct SettingsFlags {
  std::string config_file;
  std::map<std::string, std::string> flags;
};

// `--config` and a flag for each row of the options table; `into` is filled in when they are parsed, and must outlive
// that.
std::vector<Flag> settings_flags(SettingsFlags& into);

// Flags, the environment, the file and the defaults, put together. A file that can't be read is one of the errors.
config::LoadedSettings load_settings(const SettingsFlags& given);

// Writes what is wrong to stderr; false when something is.
bool report_errors(const config::LoadedSettings& loaded);

}  // namespace sharedlock
