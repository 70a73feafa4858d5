#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sharedlock/error.h"
#include "sharedlock/lock.h"
#include "sharedlock/operations.h"

namespace sharedlock::client {

// Where the server is, and how it is spoken to. Each setter returns the same object.
class SHAREDLOCK_API ClientOptions {
 public:
  explicit ClientOptions(
      std::string url = "http://127.0.0.1:8080");  // http or https, with a path where a proxy has one
  ClientOptions& ca_file(std::string path);        // who signs the server's certificate; empty: the system's
  ClientOptions& token(std::function<std::string()> provider);     // the bearer token of each request; from our thread
  ClientOptions& admin_token(std::string secret);                  // for force_release
  ClientOptions& attempt_timeout(std::chrono::milliseconds span);  // of one try without an answer: 2 s
  ClientOptions& request_timeout(std::chrono::milliseconds span);  // with all tries, waiting in line not counted: 10 s

  const std::string& url() const { return url_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::function<std::string()>& token() const { return token_; }
  const std::string& admin_token() const { return admin_token_; }
  std::chrono::milliseconds attempt_timeout() const { return attempt_timeout_; }
  std::chrono::milliseconds request_timeout() const { return request_timeout_; }

 private:
  std::string url_;
  std::string ca_file_;
  std::function<std::string()> token_;
  std::string admin_token_;
  std::chrono::milliseconds attempt_timeout_{2000};
  std::chrono::milliseconds request_timeout_{10000};
};

// A shared-lock server, or several behind one address. Has one thread of its own, which ends when the client and all
// that it gave are gone. Connections are kept and used again. Thread-safe.
//
// What has no answer is sent again, with jitter, until request_timeout() is over: every request is made so that a
// repeat does no harm. Only then the outcome is Errc::unavailable; what an acquire may have taken meanwhile is released
// in the background.
class SHAREDLOCK_API Client {
 public:
  // Throws Failure when the URL makes no sense, or the CA file can't be read. Nothing is connected yet.
  explicit Client(const ClientOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Who still waits in acquire() is told `unavailable`. Not from a callback.
  ~Client();

  // Takes a lock; it renews itself from then on. held_by_another when the wait of the options is over. A server that
  // drains meanwhile is asked again at once, as are servers that wait no longer than an hour: the place in line is then
  // a new one. Blocks; never on the library's thread.
  Result<Lock> acquire(const std::string& name, const LockOptions& options = LockOptions());
  // Several at once, all or none.
  Result<Lock> acquire_all(const std::vector<std::string>& names, const LockOptions& options = LockOptions());
  Result<Lease> lease(const std::string& key, const LeaseOptions& options = LeaseOptions());

  // Whoever waits in an acquire is told `unavailable`, and so is who asks for one later.
  void stop_acquiring();

  // The same, answered by a call on the library's thread, which must not block.
  void acquire_then(const std::string& name, const LockOptions& options, std::function<void(Result<Lock>)> done);
  void acquire_all_then(const std::vector<std::string>& names, const LockOptions& options,
                        std::function<void(Result<Lock>)> done);
  void lease_then(const std::string& key, const LeaseOptions& options, std::function<void(Result<Lease>)> done);

  // And for Asio: `auto lock = co_await client.acquire(name, options, boost::asio::use_awaitable);`, which goes on
  // where the coroutine runs. With sharedlock/asio.h.
  template <class Token>
  auto acquire(const std::string& name, const LockOptions& options, Token&& token);
  template <class Token>
  auto acquire_all(const std::vector<std::string>& names, const LockOptions& options, Token&& token);
  template <class Token>
  auto lease(const std::string& key, const LeaseOptions& options, Token&& token);

  // The requests themselves, for who renews and remembers on his own. They block. Renewals are sent once: the next one
  // is the repeat.
  Result<Grant> acquire_once(const Names& names, std::chrono::seconds duration, Wait wait = Wait(0));
  Result<Grant> renew_once(const Names& names, std::chrono::seconds duration);  // from now; lost: it is not ours
  // held_by_another: it is another's. Repeated for so long; 0: for request_timeout().
  Result<void> release_once(const Names& names, std::chrono::milliseconds patience = std::chrono::milliseconds(0));
  Result<LockState> get(const std::string& space, const std::string& name);
  Result<Verdict> verify(const std::string& space, const std::string& name, std::int64_t token);
  Result<void> force_release(const std::string& space, const std::string& name, const std::string& reason);
  Result<LeaseGrant> grant_once(const std::string& key, const std::string& value, std::chrono::seconds ttl,
                                Wait wait = Wait(0));
  Result<LeaseGrant> keep_alive_once(std::int64_t id);  // lost: there is no such lease; without a token
  Result<void> release_lease_once(std::int64_t id);     // lost: likewise
  Result<LeaseState> get_lease(const std::string& key);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Holds a lock for as long as it lives; for plain threads.
class SHAREDLOCK_API ScopedLock {
 public:
  // Waits for it, by default for ever. Throws Failure.
  ScopedLock(Client& client, const std::string& name, LockOptions options = LockOptions().wait(kForEver));

  Lock& operator*() { return lock_; }
  Lock* operator->() { return &lock_; }

 private:
  Lock lock_;
};

}  // namespace sharedlock::client
