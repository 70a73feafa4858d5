#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace sharedlock::config {

// Where a value can come from; later ones take precedence.
enum class Source { defaults, file, environment, flag };

// Where a value came from, named as the user wrote it: "--port", "SHARED_LOCK_SERVER_PORT",
// "shared-lock.properties:3: server.port"; empty for a default.
struct Origin {
  Source source = Source::defaults;
  std::string name;
};

struct FileText {
  std::string name;  // for messages
  std::string text;
};

// All input of load(): it reads neither the process's environment nor the disk.
struct LoadInput {
  std::map<std::string, std::string> flags;        // by Option::flag, without the dashes
  std::map<std::string, std::string> environment;  // all of it; foreign names don't matter
  std::optional<FileText> file;                    // a properties file
};

struct LoadedSettings {
  Settings settings;                  // unusable when there are errors
  std::vector<Origin> origins;        // origins[i] is that of options()[i]
  std::vector<std::string> warnings;  // for the log
  std::vector<std::string> errors;    // each a line for people, without secrets; any of them means: don't start

  // By the option's first property name, which must be one.
  const Origin& origin_of(std::string_view property) const;
};

// Builds settings from the user's input: flag, else environment, else properties file, else default. Spaces around a
// value do not count and an empty value is no value. An overridden value is not checked, so that a flag helps against a
// variable that Kubernetes has injected. Finds all errors at once.
LoadedSettings load(const LoadInput& input);

}  // namespace sharedlock::config
