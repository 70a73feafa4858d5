#include "app/command_line.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/options.h"
#include "config/value.h"

namespace sharedlock {

namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> names;
  for (char** entry = environ; *entry; ++entry) {
    std::string_view variable = *entry;
    auto equals = variable.find('=');
    if (equals != std::string_view::npos) names.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return names;
}

std::optional<std::string> read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file.is_open() || file.bad() || text.bad()) return std::nullopt;
  return text.str();
}

}  // namespace

std::vector<Flag> settings_flags(SettingsFlags& into) {
  std::vector<Flag> flags{
      {.name = "--config", .value = "FILE", .help = "A properties file with settings.", .target = &into.config_file}};
  flags.reserve(1 + config::options().size());
  for (const config::Option& option : config::options()) {
    auto keep = [&into, flag = std::string(option.flag)](const std::string& value) {
      into.flags[flag] = value;
      return std::string();
    };
    Flag flag{.name = "--" + std::string(option.flag),
              .value = config::value_word(option),
              .help = std::string(option.help),
              .target = keep,
              .group = "Settings"};
    // `--debug` alone means yes.
    if (config::is_switch(option)) {
      flag.preset = "true";
      flag.value_optional = true;
    }
    flags.push_back(std::move(flag));
  }
  return flags;
}

config::LoadedSettings load_settings(const SettingsFlags& given) {
  config::LoadInput input{.flags = given.flags, .environment = environment(), .file = std::nullopt};
  std::string unreadable;
  if (!given.config_file.empty()) {
    auto text = read_file(given.config_file);
    if (text) {
      input.file = config::FileText{given.config_file, *std::move(text)};
    } else {
      std::string why = std::generic_category().message(errno);
      unreadable = "--config: can't read " + given.config_file + ": " + why;
    }
  }
  config::LoadedSettings loaded = config::load(input);
  if (!unreadable.empty()) loaded.errors.push_back(unreadable);
  return loaded;
}

bool report_errors(const config::LoadedSettings& loaded) {
  for (const std::string& error : loaded.errors) std::fprintf(stderr, "shared-lock: %s\n", error.c_str());
  return loaded.errors.empty();
}

}  // namespace sharedlock
