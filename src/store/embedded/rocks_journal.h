#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "store/embedded/journal.h"

namespace sharedlock {

// Opens the journal in `directory`, which is created if missing. A lock on the directory keeps a second journal out,
// from before the first look at it until this one is destroyed. unavailable, with a sentence that names the directory:
// it can't be created or written, is a file, holds something else, or is open in another process. corrupt: its contents
// are damaged, or were written by a newer version. A refused directory is left unchanged, except for the zeros of a
// torn end (see rocks_directory.h).
Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& directory);

}  // namespace sharedlock
