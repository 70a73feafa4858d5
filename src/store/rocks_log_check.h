#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock {

// Looks for damage that RocksDB itself takes for the end of a write-ahead log. A log may end in the middle of a record,
// as a power cut leaves it; but when the length or the type of a record in the middle has changed, RocksDB sees the
// same, and opens with what stood before it: synced records would be gone without a word.
//
// Tells the two apart by what follows: every batch is synced before the next one is written, so behind a torn record no
// other batch can begin. The format is that of RocksDB 7.8, db/log_format.h: blocks of 32 KiB; records of a masked
// CRC-32C (4 bytes), a length (2), a type (1) and the payload.

// Whether these are the bytes of a log that is damaged, rather than whole or torn at its end.
bool is_damaged_log(std::string_view log);

// The name of a damaged log in the directory, if there is one.
std::optional<std::string> find_damaged_log(const std::filesystem::path& directory);

}  // namespace sharedlock
