#pragma once

#include <csignal>

#include "cli/guard.h"

namespace sharedlock {

// The guard's side: one thread, from the fork to the exit.
class GuardProcess {
 public:
  // `before`: the signal mask that the command is to have.
  GuardProcess(GuardedCommand command, OnLost on_lost, int socket, sigset_t before);

  // Until the command and all that it started are gone.
  [[noreturn]] void run();

 private:
  void on_socket();
  void on_child();
  void on_time();
  void start(const GuardOrder& order);
  [[noreturn]] void become_command(const GuardOrder& order, int failure_pipe);
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
  int children_ = -1;  // signalfd
  pid_t pid_ = -1;     // of the command, while it runs
  pid_t group_ = -1;
  pid_t runner_group_ = -1;
  bool started_ = false;
  bool alone_ = false;  // whoever gave orders is gone
  bool terminated_ = false;
  bool wants_terminal_ = false;  // stopped for it
  int status_ = 0;
  std::int64_t terminate_at_ = 0;
  std::int64_t kill_at_ = 0;
};

}  // namespace sharedlock
