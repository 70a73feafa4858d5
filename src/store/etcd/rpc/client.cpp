#include "store/etcd/rpc/client.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <string>
#include <utility>

#include "base/use_task.h"
#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/rpc/error_class.h"
#include "store/etcd/rpc/nested_grpc.h"
#include "store/etcd/witness/guard_grpc.h"
#include "store/etcd/witness/witness.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

// One kind of call, and whether its header's revision is from a moment after it was sent.
struct RangeCall {
  using Request = pb::RangeRequest;
  using Response = pb::RangeResponse;
  static constexpr bool kLinearizable = true;
};
struct TxnCall {
  using Request = pb::TxnRequest;
  using Response = pb::TxnResponse;
  static constexpr bool kLinearizable = true;
};
struct NestedTxnCall {
  using Request = EtcdNestedRequest;
  using Response = EtcdNestedResponse;
  static constexpr bool kLinearizable = true;
};
struct GrantCall {
  using Request = pb::LeaseGrantRequest;
  using Response = pb::LeaseGrantResponse;
  static constexpr bool kLinearizable = false;
};
struct RevokeCall {
  using Request = pb::LeaseRevokeRequest;
  using Response = pb::LeaseRevokeResponse;
  static constexpr bool kLinearizable = false;
};
struct TimeToLiveCall {
  using Request = pb::LeaseTimeToLiveRequest;
  using Response = pb::LeaseTimeToLiveResponse;
  static constexpr bool kLinearizable = false;
};

// How long to wait before an attempt when every endpoint has just failed: 50 ms, 100 ms, 200 ms, ...
std::chrono::milliseconds pause_before(int attempt) {
  return std::chrono::milliseconds(50) * (1 << std::min(attempt - 1, 4));
}

bool is_guarded(EtcdTxn how) {
  return how == EtcdTxn::guarded || how == EtcdTxn::guarded_and_logged;
}
bool is_logged(EtcdTxn how) {
  return how == EtcdTxn::logged || how == EtcdTxn::guarded_and_logged;
}

// Other calls have no guard.
template <class Request>
void prepare_guard(Request&, Revision) {}
void prepare_guard(pb::TxnRequest& request, Revision least) {
  renew_guard(request, least);
}
void prepare_guard(EtcdNestedRequest& request, Revision least) {
  renew_guard(request.comparing, least);
}

Task<void> pause(std::chrono::nanoseconds span) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, span);
  co_await timer.async_wait(use_task);
}

}  // namespace

Clock& EtcdClient::clock() const {
  return connections_.clock();
}

void EtcdClient::found_space() {
  if (lacks_space_) lacked_until_ = connections_.clock().boot_now();
  lacks_space_ = false;
}

Error EtcdClient::unreachable() const {
  return connections_.unreachable(Errc::deadline_exceeded);
}

template <class Call>
Task<EtcdAnswer<typename Call::Response>> EtcdClient::run(typename Call::Request request, bool repeatable,
                                                          Deadline deadline, EtcdTxn how) {
  using Answer = EtcdAnswer<typename Call::Response>;
  bool unanswered = false;
  bool logged_in_again = false;
  Revision compared_with = kAbsent;
  Error last = connections_.unreachable(Errc::deadline_exceeded);
  const auto first = connections_.first_attempt(connections_.time_left(deadline));
  const int most = connections_.options().max_retries;
  for (int attempt = 0; attempt <= most; ++attempt) {
    if (attempt > 0 && connections_.all_failed()) {
      co_await pause(std::min<std::chrono::nanoseconds>(pause_before(attempt), connections_.time_left(deadline)));
    }
    if (connections_.time_left(deadline).count() == 0) {
      last.code = Errc::deadline_exceeded;
      break;
    }
    auto used = co_await connections_.use(deadline);
    if (!used) last = used.error();
    if (!used) continue;
    EtcdMember& member = **used;
    if (is_guarded(how)) {
      if (auto refused = witness_.refusal()) co_return Answer{*std::move(refused), unanswered};
      compared_with = witness_.floor();
      prepare_guard(request, compared_with);
    }
    auto generation = connections_.token_generation();
    auto at_least = Call::kLinearizable ? std::optional(highest_revision_.load()) : std::nullopt;
    std::uint64_t term_before = member.term;
    auto span = attempt_span(first, connections_.time_left(deadline), attempt, attempt == most || !repeatable);
    BootTime sent = connections_.clock().boot_now();
    typename Call::Response response;
    auto failure = co_await connections_.ask(&member, &request, span, &response);
    if (failure.code == 0) {
      if (is_usable(member, response.header(), at_least, how, span)) {
        connections_.worked(member, connections_.clock().boot_now() - sent);
        member.term = response.header().raft_term();
        co_return Answer{std::move(response), unanswered, /*refused=*/false, member.term == term_before, compared_with};
      }
      last = connections_.unreachable(Errc::unavailable);
      unanswered = true;
      if (!repeatable) break;
      continue;
    }
    EtcdErrorClass error = classify(failure);
    if (error.next == EtcdErrorClass::Next::renew_token && !std::exchange(logged_in_again, true)) {
      connections_.renew_token(generation);
      --attempt;
      continue;
    }
    unanswered = unanswered || !error.surely_not_done;
    if (error.next == EtcdErrorClass::Next::give_up) {
      connections_.worked(member, connections_.clock().boot_now() - sent);
      co_return Answer{Error{error.code, etcd_says(member.endpoint.name, failure.message)}, unanswered,
                       /*refused=*/true};
    }
    connections_.failed(member, failure, span);
    last = connections_.unreachable(error.code);
    if (unanswered && !repeatable) break;
  }
  co_return Answer{std::move(last), unanswered};
}

// `at_least`: what was answered before, to calls that never fall behind that (R20). An answer that is older is
// disbelieved, and its member counts as failed.
bool EtcdClient::is_usable(EtcdMember& member, const pb::ResponseHeader& header, std::optional<std::int64_t> at_least,
                           EtcdTxn how, std::chrono::nanoseconds span) {
  if (!connections_.is_ours(member, header)) return false;
  if (!at_least || is_current(header.revision(), *at_least) || is_logged(how)) return true;
  connections_.failed(member, EtcdFailure{kUnusableAnswer, "it is older than what was known"}, span);
  return false;
}

// Without a name to log in by, a new token can't be had.
EtcdErrorClass EtcdClient::classify(const EtcdFailure& failure) {
  if (says_no_space(failure.message)) lacks_space_ = true;
  EtcdErrorClass error = classify_etcd_error(failure.code, failure.message);
  bool logs_in = !connections_.options().username.empty();
  if (error.next == EtcdErrorClass::Next::renew_token && !logs_in) error.next = EtcdErrorClass::Next::give_up;
  return error;
}

Task<Result<pb::RangeResponse>> EtcdClient::range(pb::RangeRequest request, Deadline deadline) {
  auto answer = co_await run<RangeCall>(std::move(request), true, deadline);
  co_return std::move(answer.result);
}

Task<EtcdAnswer<pb::TxnResponse>> EtcdClient::txn(pb::TxnRequest request, bool repeatable, Deadline deadline,
                                                  EtcdTxn how) {
  return run<TxnCall>(std::move(request), repeatable, deadline, how);
}

Task<EtcdAnswer<EtcdNestedResponse>> EtcdClient::nested_txn(EtcdNestedRequest request, bool repeatable,
                                                            Deadline deadline, EtcdTxn how) {
  return run<NestedTxnCall>(std::move(request), repeatable, deadline, how);
}

Task<EtcdAnswer<pb::LeaseGrantResponse>> EtcdClient::grant(pb::LeaseGrantRequest request, Deadline deadline) {
  return run<GrantCall>(std::move(request), true, deadline);
}

Task<Result<void>> EtcdClient::revoke(pb::LeaseRevokeRequest request, Deadline deadline) {
  auto answer = co_await run<RevokeCall>(std::move(request), true, deadline);
  if (answer.result) co_return Result<void>();
  Error error = answer.result.error();
  if (error.code == Errc::lease_not_found && answer.unanswered) co_return Result<void>();
  co_return error;
}

Task<EtcdAnswer<pb::LeaseTimeToLiveResponse>> EtcdClient::time_to_live(pb::LeaseTimeToLiveRequest request,
                                                                       Deadline deadline) {
  return run<TimeToLiveCall>(std::move(request), true, deadline);
}

bool EtcdClient::is_current(std::int64_t revision, std::int64_t seen_before) {
  if (revision < seen_before) return false;
  std::int64_t highest = highest_revision_;
  while (revision > highest && !highest_revision_.compare_exchange_weak(highest, revision)) {
  }
  return true;
}

}  // namespace sharedlock
