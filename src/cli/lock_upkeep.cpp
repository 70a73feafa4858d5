#include "cli/lock_upkeep.h"

#include <algorithm>
#include <utility>

#include "base/thread.h"

namespace sharedlock {

namespace {

constexpr std::chrono::milliseconds kAgain{500};  // after a renewal without an answer

}  // namespace

LockUpkeep::LockUpkeep(client::Operations operations, client::Names names, client::Grant grant, Events events)
    : operations_(operations), names_(std::move(names)), grant_(std::move(grant)), events_(std::move(events)) {
  thread_ = std::thread([this] { run(); });
}

LockUpkeep::~LockUpkeep() {
  {
    std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LockUpkeep::run() {
  const NamedThread named("upkeep");
  auto over = grant_.sent + grant_.ttl;
  auto due = grant_.sent + grant_.ttl / 3;
  bool in_trouble = false;
  while (sleep_until(std::min(due, over))) {
    auto sending = client::BootClock::now();
    if (sending >= over) {
      events_.lost();
      return;
    }
    auto renewed = operations_.renew(names_, grant_.ttl);
    if (renewed) {
      over = renewed->sent + renewed->ttl;
      due = renewed->sent + renewed->ttl / 3;
      events_.renewed(*renewed);
      if (std::exchange(in_trouble, false)) events_.trouble("renewed again");
    } else if (renewed.error().code == client::Errc::lost) {
      events_.lost();
      return;
    } else {
      // It may have succeeded, and then lasts no longer than was asked for.
      over = std::min(over, sending + grant_.ttl);
      due = client::BootClock::now() + kAgain;
      if (!std::exchange(in_trouble, true)) events_.trouble("not renewed, trying on: " + renewed.error().message);
    }
  }
}

// False: it ends. In short steps: condition variables can't use CLOCK_BOOTTIME.
bool LockUpkeep::sleep_until(client::BootClock::time_point due) {
  std::unique_lock lock(mutex_);
  for (;;) {
    auto left = due - client::BootClock::now();
    if (ending_ || left.count() <= 0) return !ending_;
    changed_.wait_for(lock, std::min<std::chrono::nanoseconds>(left, std::chrono::milliseconds(500)));
  }
}

}  // namespace sharedlock
