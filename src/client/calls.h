#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/task.h"
#include "client/http_client.h"
#include "sharedlock/operations.h"

namespace sharedlock::client {

// How an acquire or grant waits in a queue.
struct InLine {
  std::chrono::seconds wait{0};        // 0: not at all
  std::chrono::seconds keep_place{0};  // how long its queue entry outlives it, when cut off or when its time is up
};

// The outcome of an acquire or grant, besides its result.
struct Asked {
  std::optional<TimePoint> sent = {};  // nothing: there was no connection
  bool cut = false;                    // the connection was closed, or a gateway gave up
  bool later = false;                  // a server asks to be tried again later
  bool knows_no_places = false;        // the server is too old to keep queue entries
};

// Whether a renewal belongs to an acquire, and is ended with it.
enum class Purpose { holding, acquiring };

// The requests of both APIs, each sent once, and the meanings of the answers. Like HttpClient: only on its executor.
//
// Errors of all: unavailable (no answer, or one that leaves the outcome open), refused (with the server's message).
class Calls {
 public:
  Calls(HttpClient& http, std::string admin_token) : http_(http), admin_token_(std::move(admin_token)) {}

  // held_by_another; superseded.
  Task<Result<Grant>> acquire(Names names, std::chrono::seconds duration, InLine line, TimePoint until, Asked* asked);
  // lost.
  Task<Result<Grant>> renew(Names names, std::chrono::seconds duration, TimePoint until,
                            Purpose purpose = Purpose::holding);
  // held_by_another.
  Task<Result<void>> release(Names names, TimePoint until);
  Task<Result<LockState>> get(std::string namespace_name, std::string name, TimePoint until);
  Task<Result<Verdict>> verify(std::string namespace_name, std::string name, std::int64_t token, TimePoint until);
  Task<Result<void>> force_release(std::string namespace_name, std::string name, std::string reason, TimePoint until);

  struct LeaseRequest {
    std::string key;
    std::string value;
    std::chrono::seconds ttl{};
    std::int64_t id = 0;  // chosen by us, so that a repeat finds the lease that the first try made
  };
  // held_by_another.
  Task<Result<LeaseGrant>> grant(LeaseRequest request, InLine line, TimePoint until, Asked* asked);
  // lost.
  Task<Result<LeaseGrant>> keep_alive(std::int64_t id, TimePoint until, Purpose purpose = Purpose::holding);
  Task<Result<void>> release_lease(std::int64_t id, TimePoint until);
  Task<Result<LeaseState>> get_lease(std::string key, TimePoint until);

 private:
  Task<Result<HttpAnswer>> ask_in_line(HttpRequest request, InLine line, TimePoint until, Asked* asked);

  HttpClient& http_;
  const std::string admin_token_;
};

// An unguessable lease id, of a size that the server accepts.
std::int64_t random_lease_id();

}  // namespace sharedlock::client
