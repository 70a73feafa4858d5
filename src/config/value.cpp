#include "config/value.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <type_traits>
#include <utility>

#include "base/environment.h"
#include "base/go_duration.h"

namespace sharedlock::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Wrong = std::optional<std::string>;  // "must be ...", or nothing when the value is valid

template <class Value>
using Words = std::span<const std::pair<std::string_view, Value>>;

// The words of each enum; a value is printed as the first word with that meaning.
constexpr std::array<std::pair<std::string_view, StorageType>, 4> kStorageTypes{{{"etcd", StorageType::etcd},
                                                                                 {"embedded", StorageType::embedded},
                                                                                 {"memory", StorageType::memory},
                                                                                 {"mock", StorageType::memory}}};
constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLogLevels{
    {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}}};
constexpr std::array<std::pair<std::string_view, LeaseAuthentication>, 2> kLeaseAuthentications{
    {{"inherit", LeaseAuthentication::inherit}, {"off", LeaseAuthentication::off}}};
constexpr std::array<std::pair<std::string_view, EtcdLeaseKind>, 2> kEtcdLeaseKinds{
    {{"shared", EtcdLeaseKind::shared}, {"own", EtcdLeaseKind::own}}};
constexpr std::array<std::pair<std::string_view, bool>, 10> kBooleans{{{"true", true},
                                                                       {"false", false},
                                                                       {"1", true},
                                                                       {"0", false},
                                                                       {"yes", true},
                                                                       {"no", false},
                                                                       {"on", true},
                                                                       {"off", false},
                                                                       {"t", true},
                                                                       {"f", false}}};

Words<StorageType> words_of(StorageType) {
  return kStorageTypes;
}
Words<LogLevel> words_of(LogLevel) {
  return kLogLevels;
}
Words<LeaseAuthentication> words_of(LeaseAuthentication) {
  return kLeaseAuthentications;
}
Words<EtcdLeaseKind> words_of(EtcdLeaseKind) {
  return kEtcdLeaseKinds;
}
Words<bool> words_of(bool) {
  return kBooleans;
}

template <class Value>
concept HasWords = requires(Value value) { words_of(value); } && (std::is_enum_v<Value> || std::is_same_v<Value, bool>);

// "a, b or c"; or "a|b|c" with `separator` "|".
template <class Value>
std::string list_words(Words<Value> words, std::string_view separator, std::string_view last) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? last : separator;
    list += words[i].first;
  }
  return list;
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

bool within(Bounds bounds, std::uint64_t number) {
  return number >= bounds.least && number <= bounds.most;
}

std::string range_text(Bounds bounds) {
  return std::to_string(bounds.least) + " to " + std::to_string(bounds.most);
}

// A duration in Go's syntax, or a bare number of seconds.
std::optional<nanoseconds> duration(std::string_view text) {
  const bool bare = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  return parse_go_duration(bare ? std::string(text) + "s" : std::string(text));
}

Wrong check_text(const Option& option, std::string_view text) {
  if (!is_one_line(text)) return "must be one line without control characters";
  const auto wrong = option.check ? option.check(text) : std::string_view{};
  if (!wrong.empty()) return std::string(wrong);
  return std::nullopt;
}

template <HasWords Value>
Wrong parse(const Option&, std::string_view text, Value& out) {
  const auto words = words_of(Value{});
  for (const auto& [word, value] : words) {
    if (!same_word(word, text)) continue;
    out = value;
    return std::nullopt;
  }
  if constexpr (std::is_same_v<Value, bool>) return "must be true or false";
  return "must be " + list_words(words, ", ", " or ");
}

Wrong parse(const Option&, std::string_view text, std::uint16_t& out) {
  const auto number = whole_number(text);
  if (!number || *number > 65535) return "must be a port number, 1 to 65535, or 0 for one that the kernel picks";
  out = static_cast<std::uint16_t>(*number);
  return std::nullopt;
}

Wrong parse(const Option& option, std::string_view text, std::uint64_t& out) {
  const auto number = whole_number(text);
  if (!number || !within(option.bounds, *number)) return "must be a whole number, " + range_text(option.bounds);
  out = *number;
  return std::nullopt;
}

Wrong parse(const Option& option, std::string_view text, milliseconds& out) {
  const auto number = whole_number(text);
  if (!number || !within(option.bounds, *number)) {
    return "must be a whole number of milliseconds, " + range_text(option.bounds) + ", without a unit";
  }
  out = milliseconds(*number);
  return std::nullopt;
}

Wrong parse(const Option&, std::string_view text, nanoseconds& out) {
  const auto time = duration(text);
  if (!time || *time < nanoseconds(0)) {
    return "must be a duration such as 10s, 1m30s or 500ms, or a number of seconds, and not negative";
  }
  out = *time;
  return std::nullopt;
}

Wrong parse(const Option& option, std::string_view text, Ttl& out) {
  const auto time = duration(text);
  if (!time || *time % Ttl(1) != nanoseconds(0) || *time < nanoseconds(0) ||
      !within(option.bounds, static_cast<std::uint64_t>(*time / Ttl(1)))) {
    return "must be a duration of whole seconds such as 24h or 1m30s, from " + std::to_string(option.bounds.least) +
           "s to " + std::to_string(option.bounds.most) + "s";
  }
  out = std::chrono::duration_cast<Ttl>(*time);
  return std::nullopt;
}

Wrong parse(const Option& option, std::string_view text, std::string& out) {
  auto wrong = check_text(option, text);
  if (!wrong) out = text;
  return wrong;
}

Wrong parse(const Option& option, std::string_view text, std::filesystem::path& out) {
  auto wrong = check_text(option, text);
  if (!wrong) out = text;
  return wrong;
}

Wrong parse(const Option& option, std::string_view text, PemPath& out) {
  auto wrong = check_text(option, text);
  if (!wrong) out = {.path = std::string(text), .was_set = true};
  return wrong;
}

Wrong parse(const Option& option, std::string_view text, std::vector<std::string>& out) {
  std::vector<std::string> items;
  int number = 0;
  while (!text.empty()) {
    auto item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    item.remove_prefix(std::min(item.size(), item.find_first_not_of(" \t")));
    item = item.substr(0, item.find_last_not_of(" \t") + 1);
    if (item.empty()) continue;
    ++number;
    if (auto wrong = check_text(option, item)) {
      return "must be a comma-separated list, and each item " + *wrong + "; item " + std::to_string(number) + " is not";
    }
    items.emplace_back(item);
  }
  if (items.empty()) return "must be a comma-separated list with at least one item";
  out = std::move(items);
  return std::nullopt;
}

// As Go prints it, without trailing zeros: "24h", not "24h0m0s".
std::string print(nanoseconds time) {
  auto text = to_go_duration(time);
  if (text.ends_with("m0s")) text.resize(text.size() - 2);
  if (text.ends_with("h0m")) text.resize(text.size() - 2);
  return text;
}

template <HasWords Value>
std::string print(Value value) {
  for (const auto& [word, meaning] : words_of(value)) {
    if (meaning == value) return std::string(word);
  }
  return "?";
}

std::string print(std::uint16_t port) {
  return std::to_string(port);
}
std::string print(std::uint64_t number) {
  return std::to_string(number);
}
std::string print(milliseconds time) {
  return std::to_string(time.count());
}
std::string print(Ttl ttl) {
  return print(nanoseconds(ttl));
}
std::string print(const std::string& text) {
  return text;
}
std::string print(const std::filesystem::path& path) {
  return path.string();
}
std::string print(const PemPath& path) {
  return path.path;
}
std::string print(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

template <HasWords Value>
std::string word(Value) {
  return std::is_same_v<Value, bool> ? "true|false" : list_words(words_of(Value{}), "|", "|");
}
std::string word(std::uint16_t) {
  return "PORT";
}
std::string word(std::uint64_t) {
  return "NUMBER";
}
std::string word(nanoseconds) {
  return "DURATION";
}
std::string word(milliseconds) {
  return "MILLISECONDS";
}
std::string word(Ttl) {
  return "DURATION";
}
std::string word(const std::string&) {
  return "TEXT";
}
std::string word(const std::filesystem::path&) {
  return "PATH";
}
std::string word(const PemPath&) {
  return "PATH";
}
std::string word(const std::vector<std::string>&) {
  return "LIST";
}

}  // namespace

std::optional<std::string> assign(const Option& option, std::string_view text, Settings& settings) {
  return std::visit([&](auto member) { return parse(option, text, settings.*member); }, option.field);
}

std::string value_text(const Option& option, const Settings& settings) {
  return std::visit([&](auto member) { return print(settings.*member); }, option.field);
}

std::string shown_value(const Option& option, const Settings& settings) {
  auto text = value_text(option, settings);
  if (text.empty()) return "(none)";
  return option.secret ? "(secret)" : text;
}

bool is_switch(const Option& option) {
  return std::holds_alternative<bool Settings::*>(option.field);
}

std::string value_word(const Option& option) {
  const Settings settings;
  return std::visit([&](auto member) { return word(settings.*member); }, option.field);
}

}  // namespace sharedlock::config
