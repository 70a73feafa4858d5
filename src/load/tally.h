#pragma once

#include <array>
#include <cstdint>

#include "load/histogram.h"

namespace sharedlock::bench {

// Why a request got no answer.
struct Failures {
  std::uint64_t connect = 0;    // no connection could be made again
  std::uint64_t closed = 0;     // the connection ended while an answer was due
  std::uint64_t timeout = 0;    // no answer in time
  std::uint64_t malformed = 0;  // an answer that is not HTTP/1.1 as ResponseReader knows it

  std::uint64_t all() const { return connect + closed + timeout + malformed; }
  Failures& operator+=(const Failures& other);
};

// What one thread has seen; added up at the end.
struct Tally {
  Histogram latency;                           // of what was to start in the measured time, answered or not
  std::array<std::uint64_t, 1000> statuses{};  // of the answers to that
  std::uint64_t unexpected = 0;                // of those, how many were not what the request was for
  std::uint64_t not_sent = 0;                  // open loop: still to be sent when the time was up
  std::uint64_t unanswered = 0;                // sent, and given up: in latency with the time waited for them
  Failures failures;                           // at any time
  std::uint64_t answers = 0;                   // in the measured time and around it
  std::uint64_t prepared = 0;                  // answers to what had to be held before
  std::chrono::nanoseconds elapsed{0};         // the measured time: the longest of all threads
  std::chrono::nanoseconds cpu{0};             // of the client, since the connections were made

  Tally& operator+=(const Tally& other);
};

}  // namespace sharedlock::bench
