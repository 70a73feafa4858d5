#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "history/history.h"

namespace sharedlock::test {

// What happened in all histories of a run.
struct Summary {
  int histories = 0;
  std::size_t requests = 0;
  std::size_t locks = 0;  // granted
  std::size_t leases = 0;
  std::size_t renewals = 0;  // of both
  std::size_t releases = 0;
  std::size_t refusals = 0;
  std::size_t waited = 0;          // granted to requests that would have waited in the queue
  std::size_t waited_in_vain = 0;  // of these: refused, or not known
  std::size_t unknown = 0;         // without an answer, or with one that leaves it open
  std::size_t lost = 0;            // keepalives that were answered 204
  std::size_t violations = 0;      // of what must hold
  std::chrono::milliseconds longest_without_grant{0};
  std::int64_t highest_token = 0;
  std::map<std::string, int> faults;

  // `busy` is when clients were at work.
  void add(const History& history, Span busy, std::size_t violations_in_it);
  static std::int64_t lowest_grant(const History& history);
  int all_faults() const;

  std::string line() const;
  std::string text() const;
  void write_json(const std::string& file, std::uint64_t seed) const;
  // Otherwise the run shows nothing.
  void expect_some_of_everything() const;
};

// For looking into a violation; times in milliseconds of the clock.
std::string text_of(Moment moment);
std::string text_of(const Span& span);
std::string text_of(const Operation& operation);

}  // namespace sharedlock::test
