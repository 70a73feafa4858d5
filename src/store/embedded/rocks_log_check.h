#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace sharedlock {

// Looks for damage that RocksDB itself takes for the end of a write-ahead log. After a power cut a log may end in the
// middle of a record; but when the length or type of a record in the middle has changed, RocksDB sees the same, and
// opens with the records before it: synced records would silently be gone.
//
// Tells the two apart by what follows: every batch is synced before the next one is written, so no other batch can
// begin behind a torn record. Clients choose some of the bytes, so to count as a batch they must fit behind the batches
// before: by its number in the sequence of all writes, by its form, and by its place in its block. The formats are
// those of RocksDB 7.8, db/log_format.h: blocks of 32 KiB; records of a masked CRC-32C (4 bytes), a length (2), a type
// (1) and the payload; and db/write_batch.cc: the number of its first write (8), how many there are (4), the writes.

// Every batch ends in this, which is only in the log: log data, the length 1, a byte that is not zero. So a log with
// zeros from a page boundary to its end has lost that page.
inline constexpr std::string_view kEndOfBatch = "\xff";

enum class LogEnd {
  whole,
  torn,       // in the middle of a batch; RocksDB opens with everything before it
  zero_page,  // in a page that never reached the disk, and reads as zeros: RocksDB does not open unless it is cut off
  damaged,
};
struct LogCheck {
  LogEnd end;
  std::size_t whole;  // the length of the intact part
};

LogCheck check_log(std::string_view log);

// The same for a MANIFEST, which has the form of a log and says which files make up the state: part of it would be an
// older state. Its records are RocksDB's own, so any whole record behind an incomplete one means damage. Never
// zero_page.
LogCheck check_manifest(std::string_view manifest);

// The write-ahead logs in a directory: files with RocksDB's names for them.
std::vector<std::filesystem::path> logs_in(const std::filesystem::path& directory);

// The same for files; an unreadable one counts as an empty log, since RocksDB will report it.
LogCheck check_log_file(const std::filesystem::path& file);
LogCheck check_manifest_file(const std::filesystem::path& file);

}  // namespace sharedlock
