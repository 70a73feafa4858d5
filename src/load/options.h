#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "load/workload.h"

namespace sharedlock::bench {

struct BenchOptions {
  std::string url = "http://127.0.0.1:8080";
  Workload workload = Workload::mixed;
  unsigned connections = 64;
  unsigned threads = 1;
  double seconds = 10;
  double warmup_seconds = 1;           // before the measured seconds; not part of them
  std::optional<std::uint64_t> count;  // this many requests, however long it takes, instead of seconds and warm-up
  std::optional<double> rate;          // requests per second over all connections; none: as fast as answers come
  std::uint64_t ttl_seconds = 60;
  std::uint64_t keys = 1;          // how many held keys refusals are spread over
  std::string name;                // what keys and locks begin with; empty: a random one for each run
  std::string path = "/constant";  // of the workload `constant`
  double timeout_seconds = 10;     // after this long without an answer, a request has failed
  bool json = false;
};

// What is wrong with the options, in a sentence that names one; nothing when they are valid.
std::optional<std::string> fault_in(const BenchOptions& options);

// A time in seconds, as options have it, as a duration.
inline std::chrono::nanoseconds as_duration(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace sharedlock::bench
