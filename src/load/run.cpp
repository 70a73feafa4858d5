#include "load/run.h"

#include <pthread.h>
#include <unistd.h>

#include <barrier>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "load/report.h"
#include "load/server_cpu.h"
#include "load/target.h"
#include "load/worker.h"

namespace sharedlock::bench {

namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr nanoseconds kLook{20'000'000};  // how often the main thread checks whether all have ended

sigset_t end_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  return signals;
}

std::string random_name() {
  char text[24];
  std::snprintf(text, sizeof text, "bench-%08llx", static_cast<unsigned long long>(random_bits() & 0xFFFF'FFFF));
  return text;
}

// The present rate of answers, on one line that is overwritten each time; nothing unless stderr is a terminal.
class ProgressLine {
 public:
  ProgressLine() : shown_(::isatty(STDERR_FILENO) == 1), start_(steady_clock::now()), last_(start_) {}
  ~ProgressLine() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::uint64_t answers) {
    auto now = steady_clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(500)) return;
    double seconds = std::chrono::duration<double>(now - last_).count();
    std::fprintf(stderr, "\r\033[K%5.1f s   %llu answers   %.0f/s", std::chrono::duration<double>(now - start_).count(),
                 static_cast<unsigned long long>(answers), static_cast<double>(answers - answers_) / seconds);
    last_ = now;
    answers_ = answers;
  }

 private:
  const bool shown_;
  const TimePoint start_;
  TimePoint last_;
  std::uint64_t answers_ = 0;
};

// One whole run: the threads, and the main thread beside them.
class Run {
 public:
  Run(const BenchOptions& options, Target target, const SocketAddress& address)
      : options_(options),
        target_(std::move(target)),
        plan_{options_, address,
              Requests({.host = target_.host_header,
                        .name = options.name.empty() ? random_name() : options.name,
                        .path = options.path,
                        .ttl_seconds = options.ttl_seconds})},
        step_(static_cast<std::ptrdiff_t>(options.threads) + 1) {
    for (unsigned i = 0; i < options.threads; ++i) workers_.push_back(std::make_unique<Worker>(plan_, i));
  }

  Report measure() {
    std::vector<std::jthread> threads;
    threads.reserve(workers_.size());
    for (auto& worker : workers_) {
      threads.emplace_back([this, &worker] { work(*worker); });
    }
    watch(workers_.size());  // until all are prepared
    auto cpu_before = server_cpu_seconds(target_);
    window_ = window_from_now();
    for (auto& worker : workers_) plan_.stop = plan_.stop || !worker->failure().empty();
    step_.arrive_and_wait();
    watch(2 * workers_.size());
    threads.clear();
    Report report = add_up();
    auto cpu_after = cpu_before ? server_cpu_seconds(target_) : std::nullopt;
    if (cpu_before && cpu_after) report.server_cpu_seconds = *cpu_after - *cpu_before;
    return report;
  }

 private:
  void work(Worker& worker) {
    worker.prepare();
    ++ended_;
    step_.arrive_and_wait();
    worker.run(window_);
    ++ended_;
  }

  Window window_from_now() const {
    TimePoint start = steady_clock::now();
    if (options_.count) return {start, start, TimePoint::max()};
    TimePoint measured = start + as_duration(options_.warmup_seconds);
    return {start, measured, measured + as_duration(options_.seconds)};
  }

  // Waits until that many parts of the threads' work have ended.
  void watch(std::size_t parts) {
    const sigset_t signals = end_signals();
    const timespec patience{.tv_sec = 0, .tv_nsec = kLook.count()};
    while (ended_ < parts) {
      if (::sigtimedwait(&signals, nullptr, &patience) > 0) {
        interrupted_ = true;
        plan_.stop = true;
        ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the next one ends the process
      }
      std::uint64_t answers = 0;
      for (auto& worker : workers_) answers += worker->done();
      progress_.show(answers);
    }
  }

  Report add_up() const {
    Report report{
        .options = options_, .tally = {}, .server_cpu_seconds = {}, .failure = {}, .interrupted = interrupted_};
    for (const auto& worker : workers_) {
      report.tally += worker->tally();
      if (report.failure.empty()) report.failure = worker->failure();
    }
    return report;
  }

  const BenchOptions& options_;
  Target target_;
  Plan plan_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Window window_{};
  std::barrier<> step_;
  std::atomic<std::size_t> ended_{0};
  bool interrupted_ = false;
  ProgressLine progress_;
};

}  // namespace

int run(const BenchOptions& options) {
  const sigset_t signals = end_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto target = parse_url(options.url);
  auto address = target ? resolve(*target) : Result<SocketAddress>(target.error());
  if (!address) {
    std::fprintf(stderr, "shared-lock: bench: %s\n", address.error().message.c_str());
    return 1;
  }
  Report report = Run(options, *target, *address).measure();
  if (!report.failure.empty()) {
    std::fprintf(stderr, "shared-lock: bench: %s: %s\n", options.url.c_str(), report.failure.c_str());
    if (report.tally.answers == 0) return 1;
  }
  if (report.is_far_behind()) {
    std::fprintf(stderr, "shared-lock: bench: %s: %s\n", options.url.c_str(), kFarBehind);
  }
  std::fputs((options.json ? to_json(report) + "\n" : to_text(report)).c_str(), stdout);
  return report.is_good() ? 0 : 1;
}

}  // namespace sharedlock::bench
