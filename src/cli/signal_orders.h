#pragma once

#include <sys/signalfd.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace sharedlock {

// Senders of a signal that are no process that we can see.
inline constexpr std::int32_t kKernel = 0;    // a terminal, say
inline constexpr std::int32_t kOutside = -1;  // a process outside of our process namespace
std::int32_t sender_of(const signalfd_siginfo& info);

// What becomes of the signals that the runner has got, as the guard sees it: decided without clock and processes. Times
// are nanoseconds, and never go back.
//
// A signal that was sent to all processes comes to the guard as well, from the same sender: then the command has it
// already, and so have the processes that it left behind. So each signal is held back for a while. One that was not
// sent to all is for the command, or ends what it left behind.
class SignalOrders {
 public:
  struct Signal {
    std::int32_t number;
    std::int32_t sender;
  };
  struct Due {
    std::int32_t number;
    bool for_all;    // the command got it as well, if it lives
    bool ends_rest;  // what the command left behind ends by it
  };

  // The guard itself has got a signal. It matches one order, for a second.
  void got(Signal signal, std::int64_t now);
  // Forgets what the guard got before there was a command, except signals that the command has all the same.
  void forget_unless(const std::function<bool(std::int32_t number)>& command_has);

  // The runner has got a signal. While the command lives, one that can't be for all is not held back.
  void ordered(Signal signal, bool may_be_for_all, std::int64_t now);

  // `by`: the signal that ended it, or 0.
  void command_ended(std::int32_t by, std::int64_t now);

  // What is decided by now, each once.
  std::vector<Due> due(std::int64_t now);
  // Whether any is held back.
  bool waits() const { return !ordered_.empty(); }

 private:
  struct Got {
    Signal signal;
    std::int64_t until;
  };
  struct Ordered {
    Signal signal;
    bool may_be_for_all;
    bool ends_rest;
    std::int64_t due;
  };

  bool take_same(Signal signal);
  bool ended_the_command(std::int32_t number, std::int64_t now) const;

  std::vector<Got> got_;
  std::vector<Ordered> ordered_;  // by their age
  bool asked_to_end_ = false;     // by one that came before
  bool ended_ = false;            // the command
  std::int32_t ended_by_ = 0;
  std::int64_t ended_at_ = 0;
};

}  // namespace sharedlock
