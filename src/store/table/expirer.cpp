#include "store/table/expirer.h"

#include <utility>

#include "base/thread.h"

namespace sharedlock {

Expirer::Expirer(Clock& clock, std::mutex& mutex, const LeaseTable& table, ExpireOne expire_one)
    : clock_(clock), mutex_(mutex), table_(table), expire_one_(std::move(expire_one)), thread_([this] { run(); }) {}

Expirer::~Expirer() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

BootTime Expirer::expire_some() {
  constexpr int kAtOnce = 64;
  BootTime now = clock_.boot_now();
  for (int ended = 0; ended < kAtOnce && table_.next_expiry() <= now && expire_one_(now); ++ended) {
  }
  return now;
}

void Expirer::look_again() {
  if (table_.next_expiry() < sleeps_until_) wake_.notify_all();
}

void Expirer::run() {
  const NamedThread named("expirer");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    expire_some();
    if (table_.next_expiry() <= clock_.boot_now()) {
      // There are more; let other threads in between.
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
      continue;
    }
    sleeps_until_ = table_.next_expiry();
    clock_.wait_until(lock, wake_, sleeps_until_);
    sleeps_until_ = BootTime::min();
  }
}

}  // namespace sharedlock
