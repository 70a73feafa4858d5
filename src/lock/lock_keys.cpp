#include "lock/lock_keys.h"

#include <concepts>

#include "base/text_writer.h"

namespace sharedlock {

namespace {

constexpr std::string_view kQueues = ".queue/";

// With one allocation.
std::string join(const std::convertible_to<std::string_view> auto&... pieces) {
  std::string text((std::string_view(pieces).size() + ...), '\0');
  TextWriter writer(text.data());
  (writer.text(pieces), ...);
  return text;
}

}  // namespace

std::string LockKeys::name_of(const LockName& lock) {
  return join(lock.namespace_name, ":", lock.name);
}

std::string LockKeys::key_of(const LockName& lock) const {
  return join(prefix_, lock.namespace_name, ":", lock.name);
}

std::vector<std::string> LockKeys::names_of(const LockSet& set) {
  std::vector<std::string> names;
  names.reserve(set.names.size());
  for (const std::string& name : set.names) names.push_back(name_of({set.namespace_name, name}));
  return names;
}

std::vector<std::string> LockKeys::keys_of(const LockSet& set) const {
  std::vector<std::string> keys;
  keys.reserve(set.names.size());
  for (const std::string& name : set.names) keys.push_back(key_of({set.namespace_name, name}));
  return keys;
}

std::string LockKeys::queue_of(std::string_view key) const {
  return join(prefix_, kQueues, key.substr(prefix_.size()), "/");
}

QueuePart LockKeys::part_of(const std::string& name) const {
  std::string key = join(prefix_, name);
  std::string queue = queue_of(key);
  return {.lock = std::move(key), .queue = std::move(queue)};
}

}  // namespace sharedlock
