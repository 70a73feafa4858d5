#include "app/end_signals.h"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/thread.h"

namespace sharedlock {

namespace {

// How often the thread checks whether the process has ended, or is too late, once it is about to end.
constexpr timespec kLookAgain{.tv_sec = 0, .tv_nsec = 50'000'000};

}  // namespace

EndSignals::EndSignals() {
  for (int ignored : {SIGHUP, SIGPIPE, SIGXFSZ}) std::signal(ignored, SIG_IGN);
  ::sigemptyset(&signals_);
  ::sigaddset(&signals_, SIGTERM);
  ::sigaddset(&signals_, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { run(); });
}

EndSignals::~EndSignals() {
  {
    std::scoped_lock lock(mutex_);
    over_ = true;
  }
  // Wakes it if it still waits for the first one.
  ::pthread_kill(thread_.native_handle(), SIGINT);
  thread_.join();
}

void EndSignals::serving() {
  std::scoped_lock lock(mutex_);
  serving_ = true;
}

std::optional<int> EndSignals::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return first_ || woken_; });
  woken_ = false;
  return first_;
}

void EndSignals::wake() {
  std::scoped_lock lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void EndSignals::give_up_after(std::chrono::nanoseconds patience, std::string words) {
  std::scoped_lock lock(mutex_);
  last_words_ = "shared-lock: " + std::move(words) + '\n';
  give_up_at_ = Steady::now() + patience;
}

void EndSignals::run() {
  const NamedThread named("signals");
  int signal = 0;
  ::sigwait(&signals_, &signal);
  while (!over_or_late()) {
    if (signal > 0) arrived(signal);
    signal = ::sigtimedwait(&signals_, nullptr, &kLookAgain);
  }
}

bool EndSignals::over_or_late() {
  std::scoped_lock lock(mutex_);
  if (over_) return true;
  if (give_up_at_ && Steady::now() > *give_up_at_) {
    std::fputs(last_words_.c_str(), stderr);
    ::_exit(1);
  }
  return false;
}

void EndSignals::arrived(int signal) {
  std::scoped_lock lock(mutex_);
  if (!serving_ || first_) ::_exit(128 + signal);
  first_ = signal;
  changed_.notify_all();
}

}  // namespace sharedlock
