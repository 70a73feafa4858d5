#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sharedlock/boot_clock.h"
#include "sharedlock/error.h"

namespace sharedlock::client {

class Client;

// How long a call waits in line for what another holds; 0 does not wait. kForEver is the longest there is.
using Wait = std::chrono::seconds;
inline constexpr Wait kForEver = Wait::max();

// What is held, and renewed in the background at a third of its ttl until it is released: the common part of Lock and
// Lease. Thread-safe, but for moving and destroying. Released when destroyed, in the background. May outlive its
// Client; but the last one that does must not be destroyed in a callback.
class SHAREDLOCK_API Holding {
 public:
  Holding(Holding&& other) noexcept;
  Holding& operator=(Holding&& other) noexcept;  // releases what was held before
  ~Holding();

  // The fencing token: hand it to the resource that the lock protects. Of several locks that of the first.
  std::int64_t token() const;
  const std::vector<std::int64_t>& tokens() const;

  // Whether it is surely held: now, and until `safe_until()`. No I/O. False once it was lost or released, and never
  // true when the server may have given it to somebody else.
  bool held() const;

  // Counted from the sending of the request that the server last answered, less a tenth of the ttl (at most 1 s) for
  // clocks that differ. Moves with each renewal.
  BootClock::time_point safe_until() const;

  // Stop is requested at the moment in which it is lost: when the server says so, or when safe_until() has come. Not by
  // a release. Its callbacks run on the library's thread and must not block.
  std::stop_token stop_token() const;

  // Calls `done` once, on the library's thread: true when it was lost, false when it was released. It must not block.
  void when_over(std::function<void(bool lost)> done);

  // The same for Asio: `bool lost = co_await lock.lost(boost::asio::use_awaitable);`. With sharedlock/asio.h.
  template <class Token>
  auto lost(Token&& token);

  // Ends it, and waits for the server's answer. `lost`: it was not held any more. After `unavailable` it ends by
  // itself, at the latest at its ttl. A second call does nothing.
  Result<void> release();

 protected:
  class State;
  explicit Holding(std::shared_ptr<State> state);
  State& state() const { return *state_; }

 private:
  friend class Client;
  std::shared_ptr<State> state_;
};

// A lock, or several that were taken together.
class SHAREDLOCK_API Lock : public Holding {
 public:
  const std::string& namespace_name() const;
  const std::vector<std::string>& names() const;

 private:
  friend class Client;
  using Holding::Holding;
};

// A lease of the lease API.
class SHAREDLOCK_API Lease : public Holding {
 public:
  std::int64_t id() const;

 private:
  friend class Client;
  using Holding::Holding;
};

// How a lock is taken. Each setter returns the same object.
class SHAREDLOCK_API LockOptions {
 public:
  LockOptions();
  LockOptions& namespace_name(std::string name);  // the namespace: "default"
  LockOptions& ttl(std::chrono::seconds span);    // 1 s to 86400 s, 15 s by default: how long it outlives its holder
  LockOptions& wait(Wait longest);                // in line: 0 s by default, kForEver at most

  const std::string& namespace_name() const { return namespace_name_; }
  std::chrono::seconds ttl() const { return ttl_; }
  Wait wait() const { return wait_; }

 private:
  std::string namespace_name_;
  std::chrono::seconds ttl_;
  Wait wait_;
};

class SHAREDLOCK_API LeaseOptions {
 public:
  LeaseOptions();
  LeaseOptions& value(std::string text);         // stored with the key, for people; empty by default
  LeaseOptions& ttl(std::chrono::seconds span);  // 15 s by default; the server says what is the most
  LeaseOptions& wait(Wait longest);

  const std::string& value() const { return value_; }
  std::chrono::seconds ttl() const { return ttl_; }
  Wait wait() const { return wait_; }

 private:
  std::string value_;
  std::chrono::seconds ttl_;
  Wait wait_;
};

}  // namespace sharedlock::client
