#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/embedded/journal.h"
#include "store/lease_store.h"

namespace sharedlock {

// Keeps everything in this process's memory and on its disk: what was acknowledged survives a kill and a power cut.
// Commands are applied at once, in order, and answered once the journal has them; refused tries are answered at once.
// After a restart every lease starts its full ttl anew. Revisions begin above every one that may have been issued
// before, and at least at the wall clock's microseconds.
//
// After a failed write nothing is written until a restart: every call answers `unavailable` (keep_alive() only for
// leases that still live). `clock` and `log` must outlive the store.
//
// A disk that hangs delays every answer until its deadline; when too much waits for it, commits are refused as
// `overloaded`.
//
// Revisions are reserved on disk in blocks of `revision_block`: a restart after a crash skips the rest of one. It must
// be far more than the changes that can wait for the disk at once.
//
// Fails as Journal::load() does, with corrupt when the loaded state is inconsistent, with invalid_argument when
// revisions would begin above kLastFirstRevision (nothing was written then), and with unavailable when the first write
// fails.
Result<std::unique_ptr<LeaseStore>> make_embedded_store(std::unique_ptr<Journal> journal, Clock& clock, Log& log,
                                                        std::int64_t revision_block = std::int64_t{1} << 24);

}  // namespace sharedlock
