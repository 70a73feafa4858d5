#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "load/connection.h"
#include "load/options.h"
#include "load/rate_schedule.h"
#include "load/tally.h"
#include "load/target.h"
#include "load/workload.h"

namespace sharedlock::bench {

// State shared by all workers. Thread-safe.
struct Plan {
  const BenchOptions& options;
  SocketAddress server;
  Requests requests;
  std::atomic<std::uint64_t> held_keys{0};  // how many of the held keys some worker has begun to take
  std::atomic<bool> lock_held{false};       // likewise the held lock
  std::atomic<bool> stop{false};            // set from outside: send no more
};

// A request belongs to the measured time if it was due to start in it.
struct Window {
  TimePoint start;     // of the warm-up
  TimePoint measured;  // its end
  TimePoint end;       // TimePoint::max(): when the requests are used up
};

// One thread's connections, and the loop that keeps them busy. prepare() and run() are for that thread; done() is for
// any thread; the rest for any thread once that one has ended. `plan` must outlive it.
class Worker {
 public:
  Worker(Plan& plan, unsigned index);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Connects, and takes what must be held before the measurement. On failure failure() says why.
  void prepare();

  // Sends requests until the window ends, they are used up, or the plan says stop; then waits for outstanding answers,
  // at most for the timeout.
  void run(const Window& window);

  const std::string& failure() const { return failure_; }  // empty: none
  const Tally& tally() const { return tally_; }
  std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }

 private:
  enum class Phase { preparing, running };

  // The loop.
  void turn();
  std::chrono::nanoseconds patience() const;
  void handle(Connection& connection, std::uint32_t events);
  void tick();
  bool sending_is_over() const;

  // One connection.
  void open(Connection& connection);
  void begin(Connection& connection);
  void prepare_next(Connection& connection);
  void send(Connection& connection, Call call, TimePoint intended);
  void send_what_is_due();
  void answered(Connection& connection);
  void record(Connection& connection);
  void record_unanswered(const Connection& connection);
  bool is_measured(const Connection& connection) const;
  void failed(Connection& connection, std::uint64_t Failures::* kind, const std::string& what);

  Call next_call(Connection& connection);
  std::uint64_t number_for(Call call, Connection& connection);
  void count_what_was_not_sent(TimePoint now);

  Plan& plan_;
  const unsigned index_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::uint32_t> idle_;  // open loop: may hold connections that are no longer idle
  std::string request_;              // the last one sent, for its capacity
  bool needs_lease_;

  Phase phase_ = Phase::preparing;
  Window window_{};
  RateSchedule schedule_;
  std::uint64_t scheduled_ = 0;  // requests of the schedule that were sent
  std::uint64_t budget_;         // requests that may still be sent
  std::uint64_t fresh_;          // the next unused number of a key or lock
  std::uint64_t random_;
  std::size_t waiting_ = 0;
  std::size_t prepared_ = 0;
  TimePoint now_;
  TimePoint next_tick_;
  TimePoint last_usable_;  // when a connection was last seen open
  TimePoint last_answer_;
  std::string failure_;
  Tally tally_;
  std::atomic<std::uint64_t> done_{0};
};

}  // namespace sharedlock::bench
