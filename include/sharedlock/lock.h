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

// What is held, and renewed in the background until it is released or lost: the common part of Lock and Lease. Only a
// Client makes one.
//
// Renewals go out on the library's thread at a third of the ttl; a renewal that fails is tried again until the time is
// over. Loss is never silent: held(), stop_token(), when_over() and lost() all report it, each for another style of
// program.
//
// Owns what it holds: movable, not copyable, and its destructor releases in the background, without waiting. It may
// outlive its Client. But the last of a client and all that it returned waits for the library's thread when it is
// destroyed, for two seconds at most; in a callback of the library that would wait for itself, and ends the process.
//
// Thread-safe, but for moving and destroying. What was moved from can only be assigned to or destroyed.
class SHAREDLOCK_API Holding {
 public:
  Holding(Holding&& other) noexcept;
  Holding& operator=(Holding&& other) noexcept;  // releases what was held before, as the destructor does
  ~Holding();

  // The fencing token: a number that grows each time the lock is granted, and stays over renewals. Hand it to the
  // resource that the lock protects with every write, and let that refuse tokens smaller than the largest it has seen:
  // this keeps out a holder that was paused and does not know yet that it lost the lock. Of several locks, that of the
  // first. No I/O.
  std::int64_t token() const;
  // Those of all locks, in the order in which their names were given; of a lease its one. Valid as long as this object.
  const std::vector<std::int64_t>& tokens() const;

  // Whether it is surely held: now, and until safe_until(). No I/O, so it can be asked before every step of the work.
  // False once it was lost or released, and never true when the server may have given it to another.
  bool held() const;

  // Until when it is surely held if no more renewals succeed: the sending of the request that the server last answered,
  // plus the ttl of that answer, less a tenth of the ttl (at most 1 s) for clocks that differ. Each renewal moves it
  // on. After a renewal without an answer it may come sooner, if less was asked for than was left. No I/O.
  BootClock::time_point safe_until() const;

  // Stop is requested at the moment of loss: when the server says that it is gone, or when safe_until() has come. Not
  // by a release. Its callbacks run on the library's thread and must not block or throw.
  std::stop_token stop_token() const;

  // Calls `done` once, when it is over: with true when it was lost, false when it was released. Where it is over
  // already, soon. Several may be set. It runs on the library's thread: it must not block, and an exception from it
  // ends the process.
  void when_over(std::function<void(bool lost)> done);

  // The same for Boost.Asio: `bool lost = co_await lock.lost(boost::asio::use_awaitable);`. Defined in
  // sharedlock/asio.h, which says more.
  template <class Token>
  auto lost(Token&& token);

  // Ends it, and blocks until the server has answered, the tries being bounded by ClientOptions::request_timeout(); a
  // renewal that is under way ends first. held() is false from the beginning of the call. A second call changes
  // nothing, and returns the same. Throws std::logic_error on the library's thread.
  //
  // lost: it was not held any more, and another may have had it meanwhile. unavailable, refused: it is no longer
  // renewed, and ends by itself at the latest at its ttl.
  Result<void> release();

 protected:
  class State;
  explicit Holding(std::shared_ptr<State> state);
  State& state() const { return *state_; }

 private:
  friend class Client;
  std::shared_ptr<State> state_;
};

// A lock, or several that were taken together and are renewed, lost and released together. See Holding.
class SHAREDLOCK_API Lock : public Holding {
 public:
  // As they were asked for. No I/O; valid as long as this object.
  const std::string& namespace_name() const;
  const std::vector<std::string>& names() const;

 private:
  friend class Client;
  using Holding::Holding;
};

// A lease of a key by the lease API, the second of the server's two APIs. Its keys and the lock API's names have
// nothing to do with each other. See Holding.
class SHAREDLOCK_API Lease : public Holding {
 public:
  // The number that names it. Keep it secret: a client that knows it can renew and release the lease. No I/O.
  std::int64_t id() const;

 private:
  friend class Client;
  using Holding::Holding;
};

// How a lock is taken: `LockOptions().ttl(30s).wait(kForEver)`. A plain value, copied by the calls that take it. Each
// setter changes this object and returns it. What makes no sense is not noticed here: the server refuses it.
class SHAREDLOCK_API LockOptions {
 public:
  LockOptions();

  // Locks of the same name in different namespaces are different locks. "default" by default.
  LockOptions& namespace_name(std::string name);

  // How long the lock outlives a holder that dies or loses touch: 1 s to 86400 s, 15 s by default. Short: the next
  // holder comes sooner. Long: a lock survives longer outages of the network or the server.
  LockOptions& ttl(std::chrono::seconds span);

  // How long to wait in line while another holds the lock, first come, first served. 0 s by default; kForEver at most.
  LockOptions& wait(Wait longest);

  const std::string& namespace_name() const { return namespace_name_; }
  std::chrono::seconds ttl() const { return ttl_; }
  Wait wait() const { return wait_; }

 private:
  std::string namespace_name_;
  std::chrono::seconds ttl_;
  Wait wait_;
};

// How a lease is taken; as LockOptions.
class SHAREDLOCK_API LeaseOptions {
 public:
  LeaseOptions();

  // Stored with the key and shown to people that look at it. Empty by default.
  LeaseOptions& value(std::string text);

  // How long the lease outlives its holder: 15 s by default, 1 s at least; the server's settings say what is the most.
  LeaseOptions& ttl(std::chrono::seconds span);

  // As LockOptions::wait().
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
