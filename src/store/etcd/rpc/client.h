#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/etcd/rpc/error_class.h"
#include "store/lease_store.h"

namespace etcdserverpb {
class RangeRequest;
class RangeResponse;
class TxnRequest;
class TxnResponse;
class LeaseGrantRequest;
class LeaseGrantResponse;
class LeaseRevokeRequest;
class LeaseTimeToLiveRequest;
class LeaseTimeToLiveResponse;
class ResponseHeader;
}  // namespace etcdserverpb

namespace sharedlock {

class EtcdConnections;
class EtcdWitness;
struct EtcdFailure;
struct EtcdMember;
struct EtcdNestedRequest;
class EtcdNestedResponse;

// An answer of etcd.
template <class Response>
struct EtcdAnswer {
  Result<Response> result;
  // An attempt of the call had no answer, so it may have been done, although the result is an error or reports an
  // obstacle (which that attempt itself may have put there).
  bool unanswered = false;
  bool refused = false;  // the error is etcd's own answer to this very request
  // The member that answered was already in its answer's raft term before it was asked.
  bool in_one_term = false;
  Revision compared_with = kAbsent;  // a guarded transaction: the least revision of the witness
};

// How a transaction is sent.
enum class EtcdTxn {
  simply,
  // etcd carries it out through its log, since it may change something: so its answer is never late. A revision lower
  // than what was known shows that etcd has forgotten something; the answer is passed on.
  logged,
  // Its first two comparisons are those of add_guard(): each attempt is compared with everything confirmed by then, and
  // none is sent while the witness refuses.
  guarded,
  guarded_and_logged,
};

// Single calls to etcd: each tries one endpoint after another, with a deadline per attempt, until it is answered, its
// deadline has passed, or the attempts are used up. Thread-safe; must outlive its calls, and the connections and the
// witness must outlive it.
//
// Errors: `unavailable` and `deadline_exceeded` leave open whether it was done; lease_not_found, lease_in_use (the
// lease exists) and invalid_argument (etcd rejects the request as invalid or too large) are etcd's own answers: nothing
// was done.
class EtcdClient {
 public:
  EtcdClient(EtcdConnections& connections, EtcdWitness& witness) : connections_(connections), witness_(witness) {}

  Clock& clock() const;

  // The error when time is up before any endpoint could be asked.
  Error unreachable() const;

  // Whether etcd has answered that its database is full, with no found_space() since.
  bool lacks_space() const { return lacks_space_; }
  // Whether that was so at some time since then.
  bool lacked_space_since(BootTime then) const { return lacks_space_ || lacked_until_.load() >= then; }
  void found_space();

  // Linearizable, unless the request says otherwise.
  Task<Result<etcdserverpb::RangeResponse>> range(etcdserverpb::RangeRequest request, Deadline deadline);

  // `repeatable`: its own success makes its guards fail, so sending it twice does not apply it twice.
  Task<EtcdAnswer<etcdserverpb::TxnResponse>> txn(etcdserverpb::TxnRequest request, bool repeatable, Deadline deadline,
                                                  EtcdTxn how = EtcdTxn::simply);

  // The same for a transaction that holds others.
  Task<EtcdAnswer<EtcdNestedResponse>> nested_txn(EtcdNestedRequest request, bool repeatable, Deadline deadline,
                                                  EtcdTxn how);

  // Of all answers.
  Revision highest() const { return Revision{highest_revision_.load()}; }

  // Repeated like all others, so lease_in_use after an `unanswered` attempt may be about this very grant.
  Task<EtcdAnswer<etcdserverpb::LeaseGrantResponse>> grant(etcdserverpb::LeaseGrantRequest request, Deadline deadline);

  // lease_not_found after an attempt without an answer counts as done.
  Task<Result<void>> revoke(etcdserverpb::LeaseRevokeRequest request, Deadline deadline);

  Task<EtcdAnswer<etcdserverpb::LeaseTimeToLiveResponse>> time_to_live(etcdserverpb::LeaseTimeToLiveRequest request,
                                                                       Deadline deadline);

 private:
  template <class Call>
  Task<EtcdAnswer<typename Call::Response>> run(typename Call::Request request, bool repeatable, Deadline deadline,
                                                EtcdTxn how = EtcdTxn::simply);

  bool is_usable(EtcdMember& member, const etcdserverpb::ResponseHeader& header, std::optional<std::int64_t> at_least,
                 EtcdTxn how, std::chrono::nanoseconds span);
  bool is_current(std::int64_t revision, std::int64_t seen_before);
  EtcdErrorClass classify(const EtcdFailure& failure);

  EtcdConnections& connections_;
  EtcdWitness& witness_;
  std::atomic<bool> lacks_space_{false};
  std::atomic<BootTime> lacked_until_{BootTime::min()};  // set before `lacks_space_` is reset
  std::atomic<std::int64_t> highest_revision_{0};        // in any answer; answers never fall behind it (R20)
};

}  // namespace sharedlock
