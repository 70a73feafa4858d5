#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <thread>

namespace sharedlock {

// SIGTERM and SIGINT, from the beginning of the process to its end. They are blocked in every thread and taken by one
// of its own, so they work whatever the others hang on, and also where they were inherited as ignored (a shell's
// background jobs) or have no default action (process 1 of a container).
//
// Before serving() the first one ends the process at once; after it the first one is what wait() returns, and the
// second ends the process at once, with 128 plus its number. SIGHUP, SIGPIPE and SIGXFSZ (a limit on the size of files
// is a failed write, like a full disk) are ignored. To be made before any other thread, and gone after all of them.
class EndSignals {
 public:
  EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals();

  // From now on there is something to end gracefully.
  void serving();

  // Blocks until a signal has arrived, and returns it.
  int wait();

  // Ends the process with exit code 1 when this object still exists after `patience`: what then still hangs is a disk
  // that does not answer, and what is not written was acknowledged to nobody.
  void give_up_after(std::chrono::nanoseconds patience);

 private:
  using Steady = std::chrono::steady_clock;

  void run();
  bool over_or_late();
  void arrived(int signal);

  sigset_t signals_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool serving_ = false;
  bool over_ = false;
  std::optional<int> first_;
  std::optional<Steady::time_point> give_up_at_;
  std::thread thread_;
};

}  // namespace sharedlock
