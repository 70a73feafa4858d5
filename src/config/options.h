#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace sharedlock::config {

// The member of Settings that an option sets; its type chooses the parser (value.h).
using Field = std::variant<bool Settings::*, std::uint16_t Settings::*, std::uint64_t Settings::*,
                           std::chrono::nanoseconds Settings::*, std::chrono::milliseconds Settings::*, Ttl Settings::*,
                           std::string Settings::*, std::filesystem::path Settings::*, PemPath Settings::*,
                           std::vector<std::string> Settings::*, LogLevel Settings::*, StorageType Settings::*,
                           LeaseAuthentication Settings::*, EtcdLeaseKind Settings::*>;

// The least and the greatest number allowed; of milliseconds or seconds where the field is a time in those.
struct Bounds {
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

// Under which heading an option is described.
enum class Group { server, log, storage, etcd, locks, access };

// What a text, or an item of a list, must be if it isn't that: "must be an IP address, ..."; "" when it is (checks.h).
using Check = std::string_view (*)(std::string_view text);

// One row of the table: all about a setting but its default, which is the initializer in Settings.
struct Option {
  std::string_view flag;                      // without the dashes
  std::vector<std::string_view> properties;   // names in a properties file; the first names the option everywhere
  std::vector<std::string> environment = {};  // names in the environment; the first is the one to recommend
  Group group;
  Field field;
  std::string_view help;  // a sentence or two, in Markdown with nothing but `code`
  Bounds bounds = {};
  Check check = nullptr;
  bool secret = false;   // its value is shown nowhere
  bool planned = false;  // parsed and checked, but without effect in this version

  std::string_view name() const { return properties.front(); }
};

// The table, in the order in which it is documented. Lives as long as the process; thread-safe.
std::span<const Option> options();

}  // namespace sharedlock::config
