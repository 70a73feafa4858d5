#pragma once

#include <filesystem>
#include <system_error>

#include "base/result.h"

namespace sharedlock {

// Creates the directory and its ancestors, and ensures that they survive a power cut.
std::error_code make_directories(const std::filesystem::path& directory);

// Looks for damage that RocksDB would not report, before RocksDB opens the directory (see rocks_log_check.h); call it
// while no other process has it open. corrupt: it is damaged, or has lost a file. unavailable: it holds foreign files,
// and ours must not be put among them. Cuts off the zeros that a power cut left behind a log's last whole record (their
// data was acknowledged to nobody), and changes nothing else.
Result<void> check_directory(const std::filesystem::path& directory);

// Whether a journal was ever created there.
bool holds_journal(const std::filesystem::path& directory);

}  // namespace sharedlock
