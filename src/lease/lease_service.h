#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/log.h"
#include "base/presence_hints.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "lease/refusal_cache.h"
#include "queue/types.h"
#include "queue/wait_queues.h"
#include "store/fencing_token.h"
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
  std::optional<LeaseId> id = {};         // chosen by the client, at least kSmallestChosenLeaseId
  std::chrono::nanoseconds wait{};        // in a queue, at most kLongestWait
  std::chrono::nanoseconds keep_place{};  // as in AcquireRequest; only with an id, by which the client is known again
  WhenDisconnected when_disconnected = nullptr;
};

// Random ids are at least this large with near certainty; ids that people make up are not (R2).
inline constexpr LeaseId kSmallestChosenLeaseId{std::int64_t{1} << 40};

// A lease as granted: safe for `ttl` (what the store really gave) after `received`.
struct LeaseGrant {
  LeaseId id;
  Ttl ttl;
  FencingToken token;
  Revision revision;      // of the commit
  bool undoable = false;  // after waiting: to be taken back where the client surely never learns of it (R3)
};

// The key is held under this lease, where that is known; or it is free, but others wait in a queue for it.
struct LeaseRefused {
  std::optional<LeaseId> holder;
};

// What a lease's key gives access to; not the id, which is only for its holder.
struct HeldLease {
  std::string value;
  std::optional<Ttl> left;  // rounded down; nothing: the entry hangs on no lease, and never ends
  FencingToken token;
};

// Leases over a LeaseStore: one key each, under /shared-lock/. Thread-safe. The store, the clock and the log must
// outlive it.
class LeaseService {
 public:
  using Answer = std::variant<LeaseGrant, LeaseRefused, WaitEnd>;

  LeaseService(LeaseServiceOptions options, LeaseStore& store, Clock& clock, Log& log);
  ~LeaseService();  // waits for what runs in the background, but tries nothing again; the store must still answer

  // Takes the key, if it is free and its queue is empty. `unavailable` and `deadline_exceeded`: whether it was taken is
  // not known, or it took longer than half the ttl; the lease, which no client was told of, is ended in the background
  // (one with a chosen id is left to its ttl, R3). With an id: where the key is held under it with the same value, this
  // is the same request again, and that lease is renewed instead (R1); any other lease of that id: lease_in_use.
  // In a queue the id identifies the waiter: of two requests of one id the newer gets the entry, and the older is
  // superseded.
  // The request must live until the answer.
  Task<Result<Answer>> grant(const GrantRequest& request);

  // Undoes a grant in the background, on that executor, because its holder was gone before it could be told (R3).
  // Tried for as long as the lease may live; failure is logged.
  void take_back(Executor executor, const std::string& key, const LeaseGrant& grant);

  // Ends a lease. lease_not_found: there is none, or it is not a lease of this service.
  Task<Result<void>> release(LeaseId id, BootTime received);

  // The lease under which the key is held; nothing when the key is free.
  Task<Result<std::optional<HeldLease>>> get(std::string key, BootTime received);

  // Frees the key, whichever lease it is held under; that lease lives on without it. Returns what was there.
  Task<Result<std::optional<HeldLease>>> force_release(std::string key, BootTime received);

  // Ends every wait in a queue, and each later one at once, for that reason (draining, store_lost).
  void drain(WaitEnd why) { queues_.drain(why); }

  // Brings a lease back to its full ttl, counted from `received`, and returns that. lease_not_found: it is lost, is not
  // a lease of this service, or can no longer be promised. Any other error: it surely still lives.
  Task<Result<Ttl>> keep_alive(LeaseId id, BootTime received);

  // All zero without a cache.
  RefusalCacheCounts cache_counts() const;

  // Succeeds when the store has answered a read within `patience`; else says why it did not.
  Task<Result<void>> ready(std::chrono::milliseconds patience);

 private:
  static bool waits(const GrantRequest& request) { return request.wait > std::chrono::nanoseconds(0); }
  Task<Result<Answer>> try_to_grant(const GrantRequest& request);
  Task<Result<Answer>> grant_new(const GrantRequest& request);
  bool looks_first(const std::string& key) const;
  LeaseRefused refused_by(const Entry& holder, const GrantRequest& request, Revision as_of);
  Transaction put_if_absent(std::string key, const GrantRequest& request, LeaseId id) const;
  Task<Result<Answer>> grant_chosen(const GrantRequest& request);
  Task<Result<std::optional<Answer>>> repeat(const GrantRequest& request, BootTime begun);
  Task<Result<Answer>> grant_in_queue(const GrantRequest& request);
  Task<Result<std::optional<Answer>>> take_turn(const GrantRequest& request, WaitQueues::Turn& turn);
  Task<Result<Answer>> answer_as_time_is_up(const GrantRequest& request);
  Task<Result<std::optional<Answer>>> repeat_in_queue(const GrantRequest& request, WaitQueues::Turn& turn);
  Task<Result<Answer>> resolve(const GrantRequest& request, LeaseId id, Error unknown);
  Task<Result<void>> release_cached(LeaseId id, Deadline deadline);
  Task<bool> undo(std::string key, Revision grant);
  static std::string store_key(std::string_view key);
  static QueuePart part_of(const std::string& key);
  static std::string queue_of(std::string_view key);

  static constexpr std::string_view kPrefix = "/shared-lock/";
  static constexpr std::string_view kQueues = "/shared-lock.queue/";
  std::optional<LeaseId> holder_by_cache(const std::string& key);
  void end_in_background(Executor executor, LeaseId id, std::string key, Ttl ttl);
  Task<bool> end_unknown_lease(LeaseId id, std::string key);
  Deadline deadline_for(BootTime begun) const { return {begun + options_.request_timeout}; }

  const LeaseServiceOptions options_;
  LeaseStore& store_;
  Clock& clock_;
  PresenceHints hints_;  // of keys that refused a request and were not found free since
  std::optional<RefusalCache> cache_;
  Subscription cache_feed_;
  WaitQueues queues_;
  Retries undone_;
};

}  // namespace sharedlock
