#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace sharedlock {

// SIGTERM and SIGINT, from the beginning of the process to its end. They are blocked in every thread and taken by a
// separate one, so they work whatever the others hang on, and even if they were inherited as ignored (a shell's
// background jobs) or have no default action (process 1 of a container).
//
// Before serving() the first one ends the process at once; after it the first one is the result of wait(), and the
// second ends the process at once, with 128 plus its number. SIGHUP, SIGPIPE and SIGXFSZ (a file size limit is a failed
// write, like a full disk) are ignored. Make it before any other thread, and destroy it after all of them.
class EndSignals {
 public:
  EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals();

  // From now on there is something to end gracefully.
  void serving();

  // Blocks until a signal has arrived, and returns it; or until wake() is called: nothing.
  std::optional<int> wait();

  // Ends the present wait(), or the next one. From any thread.
  void wake();

  // Ends the process with exit code 1, and this text on stderr, if this object still exists after `patience`.
  void give_up_after(std::chrono::nanoseconds patience, std::string words);

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
  bool woken_ = false;
  std::optional<int> first_;
  std::optional<Steady::time_point> give_up_at_;
  std::string last_words_;
  std::thread thread_;
};

}  // namespace sharedlock
