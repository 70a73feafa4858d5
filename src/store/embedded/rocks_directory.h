#pragma once

#include <filesystem>
#include <system_error>

#include "base/result.h"

namespace sharedlock {

// Makes the directory and those above it, and sees to it that they are still there after a power cut.
std::error_code make_directories(const std::filesystem::path& directory);

// Looks for what RocksDB would not tell us of, before it opens the directory (see rocks_log_check.h); to be called when
// no other process has it open. corrupt: it is damaged, or has lost a file. unavailable: it holds things that are not
// ours, among which nothing of ours should be put. Cuts off the zeros that a power cut left behind the last whole
// record of a log, which was acknowledged to nobody, and changes nothing else.
Result<void> check_directory(const std::filesystem::path& directory);

// Whether a journal was ever made there.
bool holds_journal(const std::filesystem::path& directory);

}  // namespace sharedlock
