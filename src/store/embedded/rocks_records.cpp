#include "store/embedded/rocks_records.h"

#include <utility>

namespace sharedlock {

namespace {

constexpr std::string_view kLeasePrefix = "l/";
constexpr std::string_view kEntryPrefix = "e/";

void append_integer(std::string& out, std::int64_t value) {
  auto bits = static_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((bits >> shift) & 0xFF);
}

std::optional<std::int64_t> take_integer(std::string_view& text) {
  if (text.size() < 8) return std::nullopt;
  std::uint64_t bits = 0;
  for (char c : text.substr(0, 8)) bits = bits << 8 | static_cast<unsigned char>(c);
  text.remove_prefix(8);
  return static_cast<std::int64_t>(bits);
}

std::optional<JournalLease> read_lease(std::string_view id_text, std::string_view record) {
  auto id = take_integer(id_text);
  if (!id || !id_text.empty() || *id <= 0 || record.empty()) return std::nullopt;
  char kind = record.front();
  record.remove_prefix(1);
  auto ttl = take_integer(record);
  if (!ttl || !record.empty() || *ttl < 1 || (kind != 'o' && kind != 'p')) return std::nullopt;
  return JournalLease{LeaseId{*id}, kind == 'o', Ttl{*ttl}};
}

std::optional<Entry> read_entry(std::string_view record) {
  auto lease = take_integer(record);
  auto created = take_integer(record);
  auto revision = take_integer(record);
  if (!lease || !created || !revision || *created < 1 || *revision < *created) return std::nullopt;
  return Entry{std::string(record), LeaseId{*lease}, Revision{*created}, Revision{*revision}};
}

}  // namespace

std::string integer(std::int64_t value) {
  std::string text;
  append_integer(text, value);
  return text;
}

std::string lease_key(LeaseId id) {
  return std::string(kLeasePrefix) + integer(number_of(id));
}
std::string entry_key(std::string_view key) {
  return std::string(kEntryPrefix).append(key);
}

std::string to_record(const JournalLease& lease) {
  std::string record(1, lease.own ? 'o' : 'p');
  append_integer(record, lease.ttl.count());
  return record;
}

std::string to_record(const Entry& entry) {
  std::string record;
  record.reserve(24 + entry.value.size());
  append_integer(record, number_of(entry.lease));
  append_integer(record, number_of(entry.created));
  append_integer(record, number_of(entry.revision));
  return record += entry.value;
}

std::optional<std::int64_t> read_number(std::string_view record) {
  auto number = take_integer(record);
  return number && record.empty() && *number > 0 ? number : std::nullopt;
}

bool read_record(std::string_view key, std::string_view record, JournalState& state) {
  if (key.starts_with(kEntryPrefix) && key != kEntryPrefix) {
    auto entry = read_entry(record);
    if (!entry) return false;
    state.entries.emplace_back(key.substr(kEntryPrefix.size()), *std::move(entry));
    return true;
  }
  if (key.starts_with(kLeasePrefix)) {
    auto lease = read_lease(key.substr(kLeasePrefix.size()), record);
    if (lease) state.leases.push_back(*lease);
    return lease.has_value();
  }
  if (key == kReservedKey) {
    auto reserved = read_number(record);
    state.reserved = Revision{reserved.value_or(0)};
    return reserved.has_value();
  }
  return key == kFormatKey;
}

}  // namespace sharedlock
