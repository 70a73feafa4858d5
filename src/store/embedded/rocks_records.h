#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/embedded/journal.h"

namespace sharedlock {

// The layout of the state in RocksDB: under "m/" facts about the whole, under "l/" a record per lease (key: id,
// big-endian), under "e/" one per entry. Integers are 8 bytes, big-endian.
inline constexpr std::string_view kFormatKey = "m/format";
inline constexpr std::string_view kReservedKey = "m/reserved";
inline constexpr std::int64_t kFormat = 1;

std::string integer(std::int64_t value);
std::string lease_key(LeaseId id);
std::string entry_key(std::string_view key);
std::string to_record(const JournalLease& lease);
std::string to_record(const Entry& entry);

// A positive number that fills the whole record.
std::optional<std::int64_t> read_number(std::string_view record);

// Adds one record to the state; false when it is invalid.
bool read_record(std::string_view key, std::string_view record, JournalState& state);

}  // namespace sharedlock
