#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "base/task_group.h"

namespace sharedlock {

// Background work that is retried, ever more seldom, until it is done or its time is up. At most 16 tries run at once
// and at most 10,000 wait: work that can't be done for a while must not become a flood. Work that is given up is
// logged. Thread-safe.
class Retries {
 public:
  using Try = std::function<Task<bool>()>;  // true: done; each bounds its own time

  // `warning`: the log's text for work that is given up. Clock and log must outlive it.
  Retries(Clock& clock, Log& log, std::string warning) : clock_(clock), log_(log), warning_(std::move(warning)) {}
  Retries(const Retries&) = delete;
  Retries& operator=(const Retries&) = delete;
  ~Retries();  // join()

  // Tries, first at `from` and no longer than `until`, on `executor` or on one that was given with other work.
  void add(Executor executor, Try work, BootTime from, BootTime until);

  // Gives up work that was already tried; tries the rest once more if that begins within a second.
  void stop();

  // stop(), then waits for running tries. Work that is added meanwhile, or later, is given up untried. Never on an I/O
  // thread, which the tries need. May be called again.
  void join();

 private:
  struct Item {
    Try work;
    BootTime until;
    std::chrono::milliseconds rest;  // the pause after the next failure
    bool tried = false;
  };
  using Items = std::multimap<BootTime, Item>;  // by the time of the next try

  Task<void> work(Executor executor);
  std::optional<Item> take_due();
  bool is_more_due();
  bool may_add_worker_locked();
  bool goes_on();
  void put_back(Item item);
  void give_up(std::size_t count);

  Clock& clock_;
  Log& log_;
  const std::string warning_;
  std::mutex mutex_;
  Items items_;
  std::size_t workers_ = 0;
  std::size_t waiting_ = 0;  // workers that wait for due work
  std::optional<BootTime> stopped_;
  bool joining_ = false;
  TaskGroup tasks_;
};

}  // namespace sharedlock
