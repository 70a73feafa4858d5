#pragma once

namespace sharedlock {

// Makes the profiler available (telemetry/profiler.h), by restarting this program, in the same process and with the
// same arguments, with gperftools preloaded: a heap profile needs its allocator from the first allocation on, and its
// variables are read before main(). So a server without profiles has neither that allocator nor that library. Returns
// if there is nothing to do: in the restarted program (SHARED_LOCK_RESTARTED in its environment marks it, whether or
// not the library could be loaded), if the library is already preloaded, and in builds without profiles; and, with a
// message on stderr, if it is impossible: the restart fails, or the program runs with capabilities or set-user-id, and
// so preloads nothing. The server can live without profiles. Call it before any other thread exists, any signal is
// blocked, or any file is open that should not stay open.
void restart_with_profiler(char** argv);

}  // namespace sharedlock
