#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "history/history.h"

// What the tests have in common that script/soak can let run for long.
namespace sharedlock::test {

inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Prints what was asked and answered, and expects some of everything; otherwise the history would show nothing.
inline void expect_some_of_everything(const History& history) {
  using Answer = Operation::Answer;
  using Kind = Operation::Kind;
  auto count = [&](Kind kind, Answer answer) {
    auto is_one = [&](const Operation& o) { return o.kind == kind && o.answer == answer; };
    return static_cast<std::size_t>(std::ranges::count_if(history.operations, is_one));
  };
  for (Kind kind : {Kind::acquire, Kind::renew, Kind::release, Kind::look, Kind::grant, Kind::keep_alive}) {
    EXPECT_GT(count(kind, Answer::done), 0U);
  }
  EXPECT_GT(count(Kind::acquire, Answer::refused), 0U);
  std::printf("%zu requests; %zu locks and %zu leases granted; %zu keepalives, %zu releases; %zu without an answer\n",
              history.operations.size(), count(Kind::acquire, Answer::done), count(Kind::grant, Answer::done),
              count(Kind::keep_alive, Answer::done), count(Kind::release, Answer::done),
              count(Kind::acquire, Answer::none) + count(Kind::release, Answer::none) +
                  count(Kind::renew, Answer::none) + count(Kind::grant, Answer::none));
}

}  // namespace sharedlock::test
