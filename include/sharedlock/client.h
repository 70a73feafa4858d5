#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sharedlock/error.h"
#include "sharedlock/lock.h"

namespace sharedlock::client {

class Engine;

// For ClientOptions::patience(): waits for the server as long as for the lock.
inline constexpr std::chrono::milliseconds kNeverGiveUp = std::chrono::milliseconds::max();

// Where the server is, and how it is spoken to: `ClientOptions("https://locks.example").poll(10s)`. A plain value,
// which a Client copies when it is made; what is set later does not reach it. Each setter changes this object and
// returns it. The defaults suit most programs.
class SHAREDLOCK_API ClientOptions {
 public:
  // http or https, with a path where a proxy has one. The constructor of Client looks at it.
  explicit ClientOptions(std::string url = "http://127.0.0.1:8080");

  // A PEM file of the authorities that may have signed the server's certificate, for https; empty, as by default: the
  // system's. Read once, when the Client is made.
  ClientOptions& ca_file(std::string path);

  // What gives the bearer token of each request; none by default. Called on the library's thread for every request, so
  // that a token may change: it must not block or throw. Spaces and line ends around the token do not count.
  ClientOptions& token(std::function<std::string()> provider);

  // The secret of the server's administrators, which Operations::force_release() alone sends; trimmed likewise.
  ClientOptions& admin_token(std::string secret);

  // How long one try goes on without an answer: 2 s. For a request that waits in line, beyond its waiting.
  ClientOptions& attempt_timeout(std::chrono::milliseconds span);

  // For how long a request without an answer is sent again: 10 s. The last try may end attempt_timeout() later.
  ClientOptions& request_timeout(std::chrono::milliseconds span);

  // Of looking up the server's name, connecting and the TLS handshake together: 5 s. If a try is over sooner, this goes
  // on for the next one.
  ClientOptions& connect_timeout(std::chrono::milliseconds span);

  // A wait in line is made of requests (polls) of at most so long each: 50 s, less than what most gateways let an idle
  // request live. One that is cut off all the same makes the next ones shorter. 1 s to 3600 s.
  ClientOptions& poll(std::chrono::seconds longest);

  // How long the place in line is kept between two polls: 10 s, which is the most that servers take; 0: not at all.
  ClientOptions& keep_place(std::chrono::seconds span);

  // How long an acquire goes on while no server answers: by default request_timeout(); kNeverGiveUp. Where a server
  // answers, an acquire waits as long as its own options say.
  ClientOptions& patience(std::chrono::milliseconds span);

  const std::string& url() const { return url_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::function<std::string()>& token() const { return token_; }
  const std::string& admin_token() const { return admin_token_; }
  std::chrono::milliseconds attempt_timeout() const { return attempt_timeout_; }
  std::chrono::milliseconds request_timeout() const { return request_timeout_; }
  std::chrono::milliseconds connect_timeout() const { return connect_timeout_; }
  std::chrono::seconds poll() const { return poll_; }
  std::chrono::seconds keep_place() const { return keep_place_; }
  std::chrono::milliseconds patience() const { return patience_.value_or(request_timeout_); }

 private:
  std::string url_;
  std::string ca_file_;
  std::function<std::string()> token_;
  std::string admin_token_;
  std::chrono::milliseconds attempt_timeout_{2000};
  std::chrono::milliseconds request_timeout_{10000};
  std::chrono::milliseconds connect_timeout_{5000};
  std::chrono::seconds poll_{50};
  std::chrono::seconds keep_place_{10};
  std::optional<std::chrono::milliseconds> patience_;
};

// Takes locks from a shared-lock server, or from several behind one address, and keeps them.
//
// Has one thread of its own, which ends when the client and all that it returned are gone; connections are kept and
// used again. One client is enough for a whole program. Thread-safe. Neither copied nor moved.
//
// Repeats: what has no answer is sent again, with pauses, until ClientOptions::request_timeout() is over (for an
// acquire: patience()). Every request is made so that a repeat does no harm. Only then the outcome is `unavailable`;
// what an acquire may have taken meanwhile is given back in the background.
//
// Waiting: goes on as long as was asked for, as one request of one instance. Polls that a gateway cuts off, and servers
// that restart or ask to be tried again later, do not end it, and between two polls the place in line is kept. It ends
// early only when no server answers for longer than patience(), and by stop_acquiring().
//
// Callbacks and calls: what blocks throws std::logic_error on the library's thread, that is, in its callbacks. A
// callback that throws ends the process.
class SHAREDLOCK_API Client {
 public:
  // Throws Failure when the URL makes no sense or the CA file can't be read. Connects to nothing yet: that the server
  // is away shows in the first call.
  explicit Client(const ClientOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What still acquires ends with `unavailable`; its callbacks have been called when this returns. Locks and leases
  // live on. All that is left to give back has two seconds, here or when the last object that the client returned is
  // destroyed; then it is left to its ttl. Not from a callback of the library.
  ~Client();

  // Takes a lock, and blocks until it is granted or will not be. It renews itself from then on, until it is released,
  // destroyed or lost: see Holding. Each call asks for itself: a program that asks again for what it holds is refused.
  //
  // held_by_another: the wait of the options is over; the message names the holder, if known. refused: a bad name, say.
  // unavailable: nothing is held; what may have been taken is given back in the background, or ends at its ttl.
  Result<Lock> acquire(const std::string& name, const LockOptions& options = LockOptions());

  // Takes several locks of one namespace, up to 32, all or none, in any order of names: sets that overlap never wait
  // for each other in a circle. Otherwise as acquire(); held_by_another says which are in the way.
  Result<Lock> acquire_all(const std::vector<std::string>& names, const LockOptions& options = LockOptions());

  // Takes a lease of a key by the lease API. Otherwise as acquire().
  Result<Lease> lease(const std::string& key, const LeaseOptions& options = LeaseOptions());

  // Ends what acquires now, here or by Operations, with `unavailable`, and every later acquire at once. What is held
  // stays held and is renewed. Does not block; from any thread; for good.
  void stop_acquiring();

  // The three again without blocking: each returns at once, and calls `done` exactly once with the outcome, on the
  // library's thread. `done` must not block or throw, and may be called before this returns.
  void acquire_then(const std::string& name, const LockOptions& options, std::function<void(Result<Lock>)> done);
  void acquire_all_then(const std::vector<std::string>& names, const LockOptions& options,
                        std::function<void(Result<Lock>)> done);
  void lease_then(const std::string& key, const LeaseOptions& options, std::function<void(Result<Lease>)> done);

  // And for Boost.Asio: `auto lock = co_await client.acquire(name, options, boost::asio::use_awaitable);`. Defined in
  // sharedlock/asio.h, which says more.
  template <class Token>
  auto acquire(const std::string& name, const LockOptions& options, Token&& token);
  template <class Token>
  auto acquire_all(const std::vector<std::string>& names, const LockOptions& options, Token&& token);
  template <class Token>
  auto lease(const std::string& key, const LeaseOptions& options, Token&& token);

 private:
  friend class Operations;
  class Impl;
  Engine& engine() const;  // what Operations sends its requests by
  std::unique_ptr<Impl> impl_;
};

// Holds a lock for as long as it lives, like std::scoped_lock. It does not end the scope when the lock is lost: look at
// `lock->held()` before each step. Owns its lock; may outlive the client, as a Lock may. As thread-safe as a Lock.
class SHAREDLOCK_API ScopedLock {
 public:
  // Blocks until it is granted, by default however long another holds it. Throws Failure where it will not be.
  ScopedLock(Client& client, const std::string& name, LockOptions options = LockOptions().wait(kForEver));

  // The lock itself: `lock->token()`, `lock->release()`.
  Lock& operator*() { return lock_; }
  Lock* operator->() { return &lock_; }

 private:
  Lock lock_;
};

}  // namespace sharedlock::client
