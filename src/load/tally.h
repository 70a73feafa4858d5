#pragma once

#include <array>
#include <cstdint>

#include "load/histogram.h"

namespace sharedlock::bench {

// Why a request got no answer.
struct Failures {
  std::uint64_t connect = 0;    // a connection could not be made again
  std::uint64_t closed = 0;     // the connection ended while an answer was due
  std::uint64_t timeout = 0;    // no answer in time
  std::uint64_t malformed = 0;  // an answer that ResponseReader can't parse

  std::uint64_t all() const { return connect + closed + timeout + malformed; }
  Failures& operator+=(const Failures& other);
};

// The observations of one thread; summed at the end.
struct Tally {
  Histogram latency;                           // of requests due in the measured time, answered or not
  std::array<std::uint64_t, 1000> statuses{};  // of the answers to those
  std::uint64_t unexpected = 0;                // how many of those answers were unexpected
  std::uint64_t not_sent = 0;                  // open loop: not yet sent when time was up
  std::uint64_t unanswered = 0;                // sent, and given up: in latency with the time waited for them
  Failures failures;                           // at any time
  std::uint64_t answers = 0;                   // in the measured time and around it
  std::uint64_t prepared = 0;                  // answers to requests for what must be held before
  std::chrono::nanoseconds elapsed{0};         // the measured time: the maximum over all threads
  std::chrono::nanoseconds cpu{0};             // of the client, since the connections were made

  Tally& operator+=(const Tally& other);
};

}  // namespace sharedlock::bench
