#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "sharedlock/boot_clock.h"
#include "sharedlock/client.h"
#include "sharedlock/error.h"
#include "sharedlock/lock.h"

// Low-level calls for clients that manage renewal themselves. Most programs need none of this: Client::acquire() takes
// a lock and keeps it.
namespace sharedlock::client {

// One lock, or several of one namespace, all or none, and the instance that asks for them. The instance is a secret: a
// client that knows it can act as the holder. Use a fresh random one for each acquisition, and the same one for its
// repeats, its renewals and its release.
struct Names {
  std::string namespace_name = "default";
  std::vector<std::string> names;
  std::string instance;
};

// A fresh instance for Names: 128 random bits, hexadecimal. Thread-safe.
SHAREDLOCK_API std::string random_instance();

// What a grant or renewal of locks says. They are surely held from `sent` until `sent + ttl`, by BootClock; take a
// little off, for clocks that differ.
struct Grant {
  std::string owner;                 // as the server knows the caller; empty for sets
  std::vector<std::int64_t> tokens;  // fencing tokens, [i] of names[i]
  std::int64_t expiry = 0;           // seconds since 1970, by the server's wall clock: for people
  std::chrono::seconds ttl{};        // counted from `sent`
  BootClock::time_point sent;        // the sending of the request that was answered
};

// A lock and its holder, as of some moment between a call and its answer: it may have changed since.
struct LockState {
  bool held = false;
  std::string owner;         // as the server knows the holder
  std::int64_t expiry = 0;   // seconds since 1970: for people
  std::int64_t token = 0;    // the holder's fencing token
  std::int64_t waiters = 0;  // how many wait in line; of a free lock the server does not say
};

// Whether a fencing token is that of the present holder, and which is.
struct Verdict {
  bool valid = false;
  std::int64_t current = 0;  // the present holder's token; 0: nobody holds it
};

// What a grant or renewal by the lease API says; as Grant.
struct LeaseGrant {
  std::int64_t id = 0;         // names the lease in later calls; a secret, as the instance of a lock
  std::int64_t token = 0;      // the fencing token; 0 of a renewal, which does not change it
  std::chrono::seconds ttl{};  // counted from `sent`
  BootClock::time_point sent;
};

// A key of the lease API; as LockState.
struct LeaseState {
  bool held = false;
  std::string value;           // what its holder stored with it
  std::chrono::seconds ttl{};  // left
  std::int64_t token = 0;
};

// The requests of both APIs, one by one: `Operations(client).get("default", "job")`. Nothing is renewed, and nothing is
// released when objects die: what is taken here is the caller's to renew and to release, or ends at its ttl.
//
// A small handle that owns nothing: make it where it is needed, copy it freely. The client must outlive it and its
// calls. Thread-safe.
//
// All calls block until the outcome is known, or their time is over. On the library's thread they throw
// std::logic_error. Client::stop_acquiring() ends acquire() and grant(); the others can't be cancelled. All may return,
// besides what they say:
//   unavailable   no answer, after repeats for ClientOptions::request_timeout() where nothing else is said
//   refused       bad names or times, or not allowed: the message says what
class SHAREDLOCK_API Operations {
 public:
  explicit Operations(Client& client) : client_(&client) {}

  // Takes locks for `duration`, 1 s to 86400 s, after waiting in line for `wait` at most. An answer that comes late is
  // renewed once, so that the ttl it promises can be counted on. Of a lock that this instance holds already, it begins
  // a new holding with a new token. Tried again for ClientOptions::patience() while no server answers.
  //
  // held_by_another: the wait is over, and nothing was taken. superseded: another call waits with the same instance.
  // unavailable: what may have been taken was given back before the return, which takes two seconds at most; where that
  // failed, the message says so, and the locks end at their ttl.
  Result<Grant> acquire(const Names& names, std::chrono::seconds duration, Wait wait = Wait(0)) const;

  // Lets locks be held for `duration` from now; never shortens. Sent once, with one attempt_timeout(): the next renewal
  // is the repeat. Renew at a third of the ttl or so.
  //
  // lost: this instance does not hold them all (any more); those that it holds stay as they were. unavailable: they
  // may have been renewed or not; ask again while the last grant lasts.
  Result<Grant> renew(const Names& names, std::chrono::seconds duration) const;

  // Gives locks back. Locks that nobody holds are released already: no error. Takes no longer than `longest`, where
  // that is not 0; repeated for request_timeout() otherwise.
  //
  // held_by_another: nothing was released, since another holds it or one of them. unavailable: they may be held until
  // their ttl ends.
  Result<void> release(const Names& names, std::chrono::milliseconds longest = std::chrono::milliseconds(0)) const;

  // Shows the holder of a lock. To use a lock, acquire it: this says nothing about the next moment.
  Result<LockState> get(const std::string& namespace_name, const std::string& name) const;

  // Asks whether a fencing token is that of the present holder, for resources that can't remember the largest token
  // they have seen. It was true at some moment of the call, and may not be any more.
  Result<Verdict> verify(const std::string& namespace_name, const std::string& name, std::int64_t token) const;

  // Takes a lock away from its holder, for administrators; also fine where nobody holds it. The holder learns of it
  // only at its next renewal. Needs ClientOptions::admin_token(): refused without the right one. The reason, which may
  // be empty, goes to the server's log.
  Result<void> force_release(const std::string& namespace_name, const std::string& name,
                             const std::string& reason) const;

  // Takes a lease of a key, which stores `value` with it; under a fresh random id. Otherwise as acquire().
  Result<LeaseGrant> grant(const std::string& key, const std::string& value, std::chrono::seconds ttl,
                           Wait wait = Wait(0)) const;

  // Holds a lease for its whole ttl from now. Sent once, as renew(). lost: there is no such lease (any more).
  Result<LeaseGrant> keep_alive(std::int64_t id) const;

  // Gives a lease back. lost: there is no such lease (any more). unavailable: it may be held until its ttl ends.
  Result<void> release_lease(std::int64_t id) const;

  // Shows the holder of a key of the lease API; as get().
  Result<LeaseState> get_lease(const std::string& key) const;

 private:
  Client* client_;
};

}  // namespace sharedlock::client
