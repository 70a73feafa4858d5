#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "store/embedded/journal.h"

namespace sharedlock {

// Opens the journal in `directory`, which is made if it is missing. A lock on the directory keeps a second journal out
// from before it is looked at until this one is destroyed.
// unavailable, with a sentence that names the directory: it can't be made or written, is a file, holds something else,
// or is open in another process. corrupt: what is in it is damaged, or was written by a newer version. What is refused
// is left as it was, but for the zeros of a torn end (see rocks_directory.h).
Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& directory);

}  // namespace sharedlock
