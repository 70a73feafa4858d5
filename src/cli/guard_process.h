#pragma once

#include <csignal>
#include <cstdint>

#include "cli/guard.h"
#include "cli/signal_orders.h"

namespace sharedlock {

// The guard's side: one thread, from the fork to the exit.
class GuardProcess {
 public:
  // `before`: the signal mask that the command is to have.
  GuardProcess(GuardedCommand command, OnLost on_lost, int socket, sigset_t before);

  // Runs until the command and all its descendants are gone.
  [[noreturn]] void run();

 private:
  void on_socket();
  void on_child();
  void on_signal();
  void on_time();
  void take_signals();
  void on_signal_order(const GuardOrder& order);
  void hand_on_signals();
  int poll_timeout() const;
  void start(const GuardOrder& order);
  [[noreturn]] void become_command(const GuardOrder& order, int go, int failure);
  void on_exec();
  void kill_all(bool lost);
  void refuse_to_stop() const;
  void offer_terminal();
  void arm() const;
  void report(const GuardReport& report) const;

  const GuardedCommand command_;
  const OnLost on_lost_;
  int socket_;
  const sigset_t before_;
  int timer_ = -1;
  int signals_ = -1;  // signalfd: the end of children, and other signals to the guard
  int failure_ = -1;  // a pipe, until the command is executed: then it ends, or says why not
  pid_t pid_ = -1;    // of the command, while it runs
  pid_t group_ = -1;
  pid_t runner_ = -1;
  pid_t runner_group_ = -1;
  bool started_ = false;
  bool alone_ = false;  // the runner is gone
  bool terminated_ = false;
  bool by_us_ = false;           // we told the command to end
  bool wants_terminal_ = false;  // stopped for it
  int status_ = 0;
  SignalOrders signal_orders_;
  std::int64_t terminate_at_ = 0;
  std::int64_t kill_at_ = 0;
};

}  // namespace sharedlock
