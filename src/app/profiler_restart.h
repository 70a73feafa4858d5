#pragma once

namespace sharedlock {

// Makes the profiler available (telemetry/profiler.h), by starting this program anew, in the same process and with the
// same arguments, with gperftools preloaded: a heap profile needs its allocator from the first allocation on, and its
// variables are read before main(). So a server without profiles has neither that allocator nor that library.
// Returns where there is nothing to do: in the program that was started so (SHARED_LOCK_RESTARTED in its environment
// says that it was, whether or not the library could be loaded), where the library is preloaded already, and in builds
// without profiles; and, saying so on stderr, where it can't be done: starting anew fails, or the program runs with
// capabilities or a user of its file's, and so preloads nothing. The server can live without profiles. To be called
// before any other thread exists, any signal is blocked, or any file is open that should not stay open.
void restart_with_profiler(char** argv);

}  // namespace sharedlock
