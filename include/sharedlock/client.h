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

// For ClientOptions::patience().
inline constexpr std::chrono::milliseconds kNeverGiveUp = std::chrono::milliseconds::max();

// Where the server is, and how it is spoken to. Each setter returns the same object.
class SHAREDLOCK_API ClientOptions {
 public:
  explicit ClientOptions(
      std::string url = "http://127.0.0.1:8080");  // http or https, with a path where a proxy has one
  ClientOptions& ca_file(std::string path);        // authorities for the server's certificate; empty: the system's
  // The bearer token of each request; called on our thread. Spaces and line ends around it, as files have them, do not
  // count, nor around the next one.
  ClientOptions& token(std::function<std::string()> provider);
  ClientOptions& admin_token(std::string secret);                  // for Operations::force_release()
  ClientOptions& attempt_timeout(std::chrono::milliseconds span);  // of one try without an answer: 2 s
  ClientOptions& request_timeout(std::chrono::milliseconds span);  // with all tries: 10 s

  // Of looking up the server's name, connecting and the TLS handshake together: 5 s. If a try is over sooner, this goes
  // on for the next one.
  ClientOptions& connect_timeout(std::chrono::milliseconds span);

  // A wait in line is made of polls of at most so long: 50 s, less than what most gateways let an idle request live.
  // One that is cut off all the same (its connection closed, a gateway's 502 or 504) makes the next ones shorter.
  ClientOptions& poll(std::chrono::seconds longest);
  // How long its place in line is kept between two polls: 10 s, which is the most that servers take; 0: not at all.
  ClientOptions& keep_place(std::chrono::seconds span);
  // How long an acquire goes on while no server answers: by default request_timeout(); kNeverGiveUp.
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

// A shared-lock server, or several behind one address. Has one thread of its own, which ends when the client and all
// that it returned are gone. Connections are kept and used again. Thread-safe.
//
// What has no answer is sent again, with jitter, until request_timeout() is over: every request is made so that a
// repeat does no harm. Only then the outcome is Errc::unavailable; what an acquire may have taken meanwhile is released
// in the background.
//
// A wait in line goes on as long as was asked, as one request of one instance: polls that a gateway cuts off,
// and servers that restart or ask to be tried again later, do not end it, and between two polls the place in line is
// kept. It ends early only when no server answers for longer than patience().
class SHAREDLOCK_API Client {
 public:
  // Throws Failure when the URL makes no sense, or the CA file can't be read. Nothing is connected yet.
  explicit Client(const ClientOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // An acquire() that still waits ends with `unavailable`. Everything ends within two seconds, here or when the last
  // object that the client returned is destroyed: what could not be released by then is left to its ttl. Not from a
  // callback.
  ~Client();

  // Takes a lock; it renews itself from then on. held_by_another when the wait of the options is over. Blocks; never on
  // the library's thread.
  Result<Lock> acquire(const std::string& name, const LockOptions& options = LockOptions());
  // Several at once, all or none.
  Result<Lock> acquire_all(const std::vector<std::string>& names, const LockOptions& options = LockOptions());
  Result<Lease> lease(const std::string& key, const LeaseOptions& options = LeaseOptions());

  // An acquire that waits ends with `unavailable`, and so does every later one.
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

 private:
  friend class Operations;
  class Impl;
  Engine& engine() const;  // what Operations sends its requests by
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
