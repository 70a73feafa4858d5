#include "base/retries.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <utility>

#include "base/crash_report.h"
#include "base/use_task.h"

namespace sharedlock {

namespace {

constexpr std::size_t kAtOnce = 16;
constexpr std::size_t kMost = 10'000;
constexpr std::chrono::milliseconds kFirstRest{100};
constexpr std::chrono::milliseconds kLongestRest{4000};
constexpr std::chrono::milliseconds kTick{50};  // how soon a worker notices due work, or that it must stop
constexpr std::chrono::seconds kLastTries{1};   // after stop()

Task<void> tick(Executor executor) {
  asio::steady_timer timer(executor, kTick);
  co_await timer.async_wait(use_task);
}

// One try; an exception that escapes it is reported with the place where the work was added.
Task<bool> try_once(const Retries::Try* work, const void* begun_at) {
  try {
    bool done = co_await (*work)();
    co_return done;
  } catch (...) {
    end_for_escaped(std::current_exception(), begun_at);
  }
}

}  // namespace

Retries::~Retries() {
  join();
}

void Retries::join() {
  stop();
  {
    std::scoped_lock lock(mutex_);
    joining_ = true;
  }
  tasks_.join();
}

void Retries::add(Executor executor, Try work, BootTime from, BootTime until) {
  auto named = [work = std::move(work), begun_at = static_cast<const void*>(__builtin_return_address(0))] {
    return try_once(&work, begun_at);
  };
  {
    std::scoped_lock lock(mutex_);
    if (joining_ || items_.size() >= kMost) return give_up(1);
    items_.emplace(from, Item{std::move(named), until, kFirstRest});
    if (!may_add_worker_locked()) return;
  }
  tasks_.spawn(executor, this->work(executor));
}

void Retries::stop() {
  std::scoped_lock lock(mutex_);
  if (stopped_) return;
  stopped_ = clock_.boot_now();
  std::size_t before = items_.size();
  std::erase_if(items_, [](const auto& item) { return item.second.tried; });
  give_up(before - items_.size());
  Items now;
  for (auto& [from, item] : items_) now.emplace(*stopped_, std::move(item));
  items_.swap(now);
}

Task<void> Retries::work(Executor executor) {
  while (true) {
    auto item = take_due();
    if (item) {
      if (is_more_due()) tasks_.spawn(executor, work(executor));
      bool done = co_await item->work();
      if (!done) put_back(*std::move(item));
    } else if (goes_on()) {
      co_await tick(executor);
      std::scoped_lock lock(mutex_);
      --waiting_;
    } else {
      co_return;
    }
  }
}

std::optional<Retries::Item> Retries::take_due() {
  std::scoped_lock lock(mutex_);
  BootTime now = clock_.boot_now();
  std::size_t late = std::erase_if(items_, [now](const auto& item) { return item.second.until <= now; });
  if (stopped_ && now - *stopped_ > kLastTries) {
    late += items_.size();
    items_.clear();
  }
  give_up(late);
  if (items_.empty() || items_.begin()->first > now) return std::nullopt;
  Item item = std::move(items_.begin()->second);
  items_.erase(items_.begin());
  return item;
}

// Another worker may be started for it; that one counts from now on.
bool Retries::is_more_due() {
  std::scoped_lock lock(mutex_);
  bool more = !items_.empty() && items_.begin()->first <= clock_.boot_now();
  return more && may_add_worker_locked();
}

bool Retries::may_add_worker_locked() {
  bool may = waiting_ == 0 && workers_ < kAtOnce;
  if (may) ++workers_;
  return may;
}

// Nothing is due: one worker waits for due work, the others end.
bool Retries::goes_on() {
  std::scoped_lock lock(mutex_);
  bool waits = !items_.empty() && waiting_ == 0;
  if (waits) ++waiting_;
  if (!waits) --workers_;
  return waits;
}

void Retries::put_back(Item item) {
  std::scoped_lock lock(mutex_);
  if (stopped_ || items_.size() >= kMost) return give_up(1);
  BootTime next = clock_.boot_now() + item.rest;
  item.rest = std::min(item.rest * 2, kLongestRest);
  item.tried = true;
  items_.emplace(next, std::move(item));
}

void Retries::give_up(std::size_t count) {
  if (count > 0) log_.write(LogLevel::warn, warning_, {{"count", std::to_string(count)}});
}

}  // namespace sharedlock
