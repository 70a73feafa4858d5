#pragma once

#include <chrono>
#include <thread>

namespace sharedlock::test {

// Calls `holds` again and again until it returns true. False when `limit` of real time has passed. That limit is only
// for failing tests, so it is generous: a test that passes is not slower for it.
template <class Predicate>
[[nodiscard]] bool eventually(Predicate holds, std::chrono::milliseconds limit = std::chrono::seconds(15)) {
  auto give_up = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // real time: this is the poll that replaces sleeps
  }
  return true;
}

}  // namespace sharedlock::test
