#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "store/journal.h"

namespace sharedlock {

// Opens the journal in `directory`, which is made if it is missing. RocksDB's lock file keeps a second process out.
// unavailable, with a sentence that names the directory: it can't be made or written, is a file, or is open in another
// process. corrupt: what is in it is damaged, or was written by a newer version.
Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& directory);

}  // namespace sharedlock
