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

// An answer of etcd.
template <class Response>
struct EtcdAnswer {
  Result<Response> result;
  // An attempt of the call had no answer, so it may have been done, although the result is an error or says that
  // something was in the way (which that attempt may have put there).
  bool unanswered = false;
  bool refused = false;  // the error is etcd's own answer to this very request
  // The member that answered was in the raft term of its answer already before it was asked.
  bool in_one_term = false;
  Revision compared_with = kAbsent;  // a guarded transaction: what the witness had to be at least
};

// How a transaction is sent.
enum class EtcdTxn {
  simply,
  // etcd carries it out through its log, since it may change something: so its answer is never late. Where its revision
  // is lower than what was known, etcd has forgotten something, and the answer is told.
  logged,
  // Its first two comparisons are those of add_guard(): each attempt is compared with what was confirmed by then, and
  // none is sent while the witness refuses.
  guarded,
  guarded_and_logged,
};

// Single calls to etcd: each is tried at one endpoint after the other, with a deadline for each attempt, until it is
// answered, its deadline has passed, or the attempts are used up. Thread-safe; must outlive its calls, and the
// connections and the witness must outlive it.
//
// Errors: `unavailable` and `deadline_exceeded` leave open whether it was done; lease_not_found, lease_in_use (the
// lease exists) and invalid_argument (etcd will not do that: the request makes no sense to it, or is too large) are as
// etcd says them: nothing was done.
class EtcdClient {
 public:
  EtcdClient(EtcdConnections& connections, EtcdWitness& witness) : connections_(connections), witness_(witness) {}

  Clock& clock() const;

  // What is told when the time is up before anything could be asked.
  Error unreachable() const;

  // Whether an answer said that etcd's database is full, and nobody has found space since.
  bool lacks_space() const { return lacks_space_; }
  // Whether that was so at some time since then.
  bool lacked_space_since(BootTime then) const { return lacks_space_ || lacked_until_.load() >= then; }
  void found_space();

  // Linearizable, unless the request says otherwise.
  Task<Result<etcdserverpb::RangeResponse>> range(etcdserverpb::RangeRequest request, Deadline deadline);

  // `repeatable`: its own success makes its guards fail, so sending it twice does nothing twice.
  Task<EtcdAnswer<etcdserverpb::TxnResponse>> txn(etcdserverpb::TxnRequest request, bool repeatable, Deadline deadline,
                                                  EtcdTxn how = EtcdTxn::simply);

  // Of all that was answered.
  Revision highest() const { return Revision{highest_revision_.load()}; }

  // Repeated like all others, so that lease_in_use where one was `unanswered` may be about this very grant.
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
  std::atomic<BootTime> lacked_until_{BootTime::min()};  // set before `lacks_space_` is taken back
  std::atomic<std::int64_t> highest_revision_{0};        // of what was answered; answers never fall behind it (R20)
};

}  // namespace sharedlock
