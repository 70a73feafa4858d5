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

// The smallest and largest number allowed; in milliseconds or seconds if the field is a time in those.
struct Bounds {
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

// The heading under which an option is described.
enum class Group { server, log, storage, etcd, locks, access };

// The requirement that a text, or an item of a list, fails to meet: "must be an IP address, ..."; "" if none
// (checks.h).
using Check = std::string_view (*)(std::string_view text);

// One row of the table: everything about a setting except its default, which is the initializer in Settings.
struct Option {
  std::string_view flag;                      // without the dashes
  std::vector<std::string_view> properties;   // names in a properties file; the first names the option everywhere
  std::vector<std::string> environment = {};  // names in the environment; the first is the one to recommend
  Group group;
  Field field;
  std::string_view help;  // a sentence or two, in Markdown with nothing but `code`
  Bounds bounds = {};
  Check check = nullptr;
  bool secret = false;   // its value is never shown
  bool planned = false;  // parsed and checked, but without effect in this version

  std::string_view name() const { return properties.front(); }
};

// The table, in the order of the documentation. Lives as long as the process; thread-safe.
std::span<const Option> options();

}  // namespace sharedlock::config
