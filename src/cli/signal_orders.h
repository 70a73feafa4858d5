#pragma once

#include <sys/signalfd.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace sharedlock {

// Senders of a signal that are not processes visible to us.
inline constexpr std::int32_t kKernel = 0;    // a terminal, for example
inline constexpr std::int32_t kOutside = -1;  // a process outside of our process namespace
std::int32_t sender_of(const signalfd_siginfo& info);

// What to do with the signals that the runner got, from the guard's view: decided without clock and processes. Times
// are nanoseconds, and never go back.
//
// A signal sent to all processes reaches the guard as well, from the same sender: then the command already has it, and
// so do its remaining processes. So each signal is held back for a while. One that was not sent to all is for the
// command, or ends its remaining processes.
class SignalOrders {
 public:
  struct Signal {
    std::int32_t number;
    std::int32_t sender;
  };
  struct Due {
    std::int32_t number;
    bool for_all;    // the command got it as well, if it lives
    bool ends_rest;  // it ends the command's remaining processes
  };

  // The guard itself has got a signal. It matches one order, for a second.
  void got(Signal signal, std::int64_t now);
  // Forgets signals that the guard got before there was a command, except those that the command has as well.
  void forget_unless(const std::function<bool(std::int32_t number)>& command_has);

  // The runner has got a signal. While the command lives, one that can't have been sent to all is not held back.
  void ordered(Signal signal, bool may_be_for_all, std::int64_t now);

  // `by`: the signal that ended it, or 0.
  void command_ended(std::int32_t by, std::int64_t now);

  // The decisions due by now, each once.
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
  std::vector<Ordered> ordered_;  // oldest first
  bool asked_to_end_ = false;     // by an earlier one
  bool ended_ = false;            // the command
  std::int32_t ended_by_ = 0;
  std::int64_t ended_at_ = 0;
};

}  // namespace sharedlock
