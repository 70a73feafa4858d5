#pragma once

#include <optional>
#include <string>

#include "load/options.h"
#include "load/tally.h"

namespace sharedlock::bench {

// For stderr and people.
inline constexpr char kFarBehind[] = "more than 5 % of the requests that were due were not sent: the rate is too high";

// The result of a run.
struct Report {
  BenchOptions options;
  Tally tally;
  std::optional<double> server_cpu_seconds;  // between the first and the last answer that counts in tally.answers
  std::string failure;                       // why the run ended before its time; empty: it did not
  bool interrupted = false;                  // by a signal

  // During the measured time.
  std::uint64_t answered() const;
  double requests_per_second() const;
  // Microseconds of CPU for each answer, warm-up included.
  std::optional<double> server_cpu_per_request() const;
  double client_cpu_per_request() const;
  // Open loop: so much of the schedule was not sent that the load was not the requested one.
  bool is_far_behind() const;
  // Every request got the expected answer, and hardly any was not sent.
  bool is_good() const;
};

std::string to_text(const Report& report);
std::string to_json(const Report& report);  // one object on one line

}  // namespace sharedlock::bench
