#include "config/names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <numeric>
#include <string>

namespace sharedlock::config {

namespace {

char upper(char c) {
  return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

bool is_upper(char c) {
  return std::isupper(static_cast<unsigned char>(c)) != 0;
}

// `locker.etcd.requestTimeoutMs` as LOCKER_ETCD_REQUEST_TIMEOUT_MS, or with whole words as
// LOCKER_ETCD_REQUESTTIMEOUTMS.
std::string environment_name(std::string_view property, bool split_words) {
  std::string name;
  for (const char c : property) {
    if (split_words && is_upper(c)) name += '_';
    name += c == '.' ? '_' : upper(c);
  }
  return name;
}

// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string uniform(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '-' && c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain;
}

void add_environment_names(Option& option) {
  const auto property = option.name();
  if (property == "server.port" || property.starts_with("shared-lock.")) return;
  for (const bool split_words : {true, false}) {
    auto name = environment_name(property, split_words);
    if (std::ranges::find(option.environment, name) == option.environment.end()) {
      option.environment.push_back(std::move(name));
    }
  }
}

const Option* find_by_property(std::string_view name) {
  const auto wanted = uniform(name);
  for (const auto& option : options()) {
    for (const auto property : option.properties) {
      if (uniform(property) == wanted) return &option;
    }
  }
  return nullptr;
}

const Option* find_by_flag(std::string_view flag) {
  const auto found = std::ranges::find(options(), flag, &Option::flag);
  return found == options().end() ? nullptr : &*found;
}

bool has_our_prefix(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kPrefixes{"locker.", "jwt.",   "authentication.", "sharedlock.",
                                                             "compat.", "lease.", "admin."};
  const auto plain = uniform(name);
  return std::ranges::any_of(kPrefixes, [&plain](std::string_view prefix) { return plain.starts_with(prefix); });
}

std::string_view nearest_property(std::string_view name) {
  const auto wanted = uniform(name);
  std::string_view nearest;
  auto least = std::numeric_limits<std::size_t>::max();
  for (const auto& option : options()) {
    for (const auto property : option.properties) {
      const auto changes = distance(wanted, uniform(property));
      if (changes >= least) continue;
      least = changes;
      nearest = property;
    }
  }
  return nearest;
}

}  // namespace sharedlock::config
