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

// Work in the background that is tried again, ever more seldom, until it is done or its time is up. At most 16 tries
// run at once and at most 10,000 wait: what can't be done for a while must become no flood. What is given up is in the
// log. Thread-safe.
class Retries {
 public:
  using Try = std::function<Task<bool>()>;  // true: it is done; each bounds its own time

  // `warning`: what the log says of something that is given up. Clock and log must outlive it.
  Retries(Clock& clock, Log& log, std::string warning) : clock_(clock), log_(log), warning_(std::move(warning)) {}
  Retries(const Retries&) = delete;
  Retries& operator=(const Retries&) = delete;
  ~Retries();  // stop(), and waits for what runs

  // Tries, first at `from` and no longer than `until`, on `executor` or on one that was given with other work.
  void add(Executor executor, Try work, BootTime from, BootTime until);

  // What was tried already is given up, the rest is tried once more if that begins within a second.
  void stop();

 private:
  struct Item {
    Try work;
    BootTime until;
    std::chrono::milliseconds rest;  // after the next failure
    bool tried = false;
  };
  using Items = std::multimap<BootTime, Item>;  // by when to try

  Task<void> work(Executor executor);
  std::optional<Item> take_due();
  bool is_more_due();
  bool may_hire_locked();
  bool goes_on();
  void put_back(Item item);
  void give_up(std::size_t count);

  Clock& clock_;
  Log& log_;
  const std::string warning_;
  std::mutex mutex_;
  Items items_;
  std::size_t workers_ = 0;
  std::size_t waiting_ = 0;  // of the workers, for something to be due
  std::optional<BootTime> stopped_;
  TaskGroup tasks_;
};

}  // namespace sharedlock
