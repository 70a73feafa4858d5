#include "load/tally.h"

#include <algorithm>

namespace sharedlock::bench {

Failures& Failures::operator+=(const Failures& other) {
  connect += other.connect;
  closed += other.closed;
  timeout += other.timeout;
  malformed += other.malformed;
  return *this;
}

Tally& Tally::operator+=(const Tally& other) {
  latency += other.latency;
  for (std::size_t i = 0; i < statuses.size(); ++i) statuses[i] += other.statuses[i];
  unexpected += other.unexpected;
  not_sent += other.not_sent;
  unanswered += other.unanswered;
  failures += other.failures;
  answers += other.answers;
  prepared += other.prepared;
  elapsed = std::max(elapsed, other.elapsed);
  cpu += other.cpu;
  return *this;
}

}  // namespace sharedlock::bench
