#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "lock/refusal_cache.h"
#include "lock/types.h"
#include "store/lease_store.h"

namespace sharedlock {

struct LeaseServiceOptions {
  std::chrono::milliseconds request_timeout{5000};  // for a whole request, counted from its `received`
  std::size_t cache_size = 0;                       // refusals that are answered from memory (R29); 0: none
};

struct GrantRequest {
  std::string key;
  std::string value;
  Ttl ttl;
  BootTime received;
};

// A lease as granted: safe for `ttl` (what the store really gave) after `received`.
struct LeaseGrant {
  LeaseId id;
  Ttl ttl;
  FencingToken token;
};

// Somebody else has the key, under this lease.
struct LeaseRefused {
  LeaseId holder;
};

// Leases over a LeaseStore: one key each, under /shared-lock/. Thread-safe. The store, the clock and the log must
// outlive it.
class LeaseService {
 public:
  using Answer = std::variant<LeaseGrant, LeaseRefused>;

  LeaseService(LeaseServiceOptions options, LeaseStore& store, Clock& clock, Log& log);
  ~LeaseService();  // waits for what runs in the background, but tries nothing again; the store must still answer

  // Takes the key, if nobody has it. `unavailable` and `deadline_exceeded`: whether it was taken is
  // not known, or it took longer than half the ttl; the lease, which nobody was told of, is ended in the background.
  Task<Result<Answer>> grant(GrantRequest request);

  // Brings a lease back to its full ttl, counted from `received`, and returns that. lease_not_found: it is lost, is not
  // a lease of this service, or can no longer be promised. Any other error: it surely still lives.
  Task<Result<Ttl>> keep_alive(LeaseId id, BootTime received);

  // All zero without a cache.
  RefusalCacheCounts cache_counts() const;

  // Ends when the store has answered a read within `patience`; else says why it did not.
  Task<Result<void>> ready(std::chrono::milliseconds patience);

 private:
  Task<Result<Answer>> settle(GrantRequest request, LeaseId id, Error unknown);
  std::optional<LeaseId> holder_by_cache(const std::string& key);
  void end_in_background(Executor executor, LeaseId id, std::string key, Ttl ttl);
  Task<bool> end_unknown_lease(LeaseId id, std::string key);
  Deadline deadline_for(BootTime received) const;

  const LeaseServiceOptions options_;
  LeaseStore& store_;
  Clock& clock_;
  std::optional<RefusalCache> cache_;
  Subscription cache_feed_;
  Retries undone_;
};

}  // namespace sharedlock
