#pragma once

#include <chrono>

namespace sharedlock::bench {

constexpr int kTtl = 60;  // seconds, of every lock and lease

// One that takes a lock and gives it back. Each call begins something, and Events tells when that is over.
class Client {
 public:
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  virtual void acquire() = 0;  // a free lock
  virtual void wait() = 0;     // takes a lock once another has given it back
  virtual void release() = 0;
  virtual bool can_release() const { return true; }

  // Of the loop's.
  bool releasing = false;
  std::chrono::steady_clock::time_point begun;
};

class Events {
 public:
  Events() = default;
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  virtual ~Events() = default;

  // The client with the next call that is over; null when there is none until then.
  virtual Client* next(std::chrono::steady_clock::time_point until) = 0;
};

}  // namespace sharedlock::bench
