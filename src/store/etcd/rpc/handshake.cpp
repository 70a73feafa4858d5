// How EtcdConnections gets to know its members: which cluster they belong to, and this server's login there.
#include <utility>

#include "store/etcd/lease/lease_index.h"
#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/rpc/error_class.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/rpc/version.h"
#include "store/etcd/token_base.h"
#include "store/etcd/witness/guard_grpc.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::milliseconds kBetweenMeetings{3000};
constexpr std::chrono::milliseconds kBetweenMeetingsInConflict{500};  // nothing is served meanwhile
constexpr std::chrono::seconds kBetweenFailedLogins{1};

}  // namespace

Task<void> EtcdConnections::keep_looking() {
  wake_.emplace(co_await asio::this_coro::executor);
  while (!stopping_) {
    EtcdMember* usable = nullptr;
    for (const auto& member : members_) {
      if (stopping_) break;
      Deadline deadline{clock_.boot_now() + options_.request_timeout};
      if (!member->is_connected()) broke(*member);
      auto ready = co_await handshake(member.get(), deadline);
      if (ready) ready = co_await look_at_state(member.get(), deadline);
      if (ready && !std::exchange(member->warned, true)) co_await look_at_version(member.get(), deadline);
      if (ready) usable = member.get();
    }
    if (!stopping_) co_await look_at_other_cluster();
    if (!stopping_ && usable && !looked_at_permissions_) {
      Deadline deadline{clock_.boot_now() + options_.request_timeout};
      looked_at_permissions_ = co_await look_at_permissions(usable, deadline);
    }
    if (!stopping_) co_await wake_->wait(in_conflict_ ? kBetweenMeetingsInConflict : kBetweenMeetings);
  }
}

Task<void> EtcdConnections::look_at_other_cluster() {
  if (!recognize_) co_return;
  std::optional<std::size_t> there = elsewhere();
  if (!there) co_return;
  bool ours = co_await recognize_(members_[*there].get(), options_.request_timeout);
  if (!ours) co_return;
  std::scoped_lock lock(mutex_);
  if (clusters_.elsewhere() != there) co_return;
  clusters_.follow(*there);
  for (const auto& member : members_) {
    if (member->away) member->cluster = 0;  // what it says next is news
  }
  in_conflict_ = false;
}

std::optional<std::size_t> EtcdConnections::elsewhere() const {
  std::scoped_lock lock(mutex_);
  return clusters_.elsewhere();
}

void EtcdConnections::stop_looking() {
  stopping_ = true;
  if (wake_) wake_->raise();
}

// So that two servers with the same endpoints in another order don't begin with two clusters.
Task<Result<void>> EtcdConnections::look_at_all(Deadline deadline) {
  for (const auto& member : members_) {
    if (was_asked(*member)) continue;
    auto ready = co_await handshake(member.get(), deadline);
    if (!was_asked(*member)) co_return ready ? unreachable(Errc::deadline_exceeded) : ready.error();
  }
  co_return Result<void>();
}

Task<Result<void>> EtcdConnections::handshake(EtcdMember* member, Deadline deadline) {
  auto work = [this, member, deadline] { return run_handshake(member, deadline); };
  auto ready = co_await member->handshaking.join(work, deadline);
  if (!ready) co_return unreachable(Errc::deadline_exceeded);
  co_return *std::move(ready);
}

Task<Result<void>> EtcdConnections::run_handshake(EtcdMember* member, Deadline deadline) {
  if (needs_token()) {
    auto logged_in = co_await log_in(member, deadline);
    if (!logged_in || member->verified) co_return logged_in;
  }
  co_return co_await identify(member, deadline);
}

// By a read that the member answers alone, of a key that every user of ours may read: Status would do as well, but some
// versions of etcd allow it only to administrators.
Task<Result<void>> EtcdConnections::identify(EtcdMember* member, Deadline deadline) {
  auto span = first_attempt(time_left(deadline));
  pb::RangeRequest request;
  request.set_key(kTokenBaseKey);
  request.set_serializable(true);
  request.set_count_only(true);
  pb::RangeResponse response;
  auto failure = co_await ask(member, &request, span, &response);
  if (failure.code == 0) {
    if (!is_ours(*member, response.header())) co_return unreachable(Errc::unavailable);
    member->verified = true;
    co_return Result<void>();
  }
  // Our token has expired, or is invalid there: the answer to the login says whether the member is of our cluster.
  auto next = classify_etcd_error(failure.code, failure.message).next;
  if (next == EtcdErrorClass::Next::renew_token && !options_.username.empty()) {
    co_return co_await log_in(member, deadline);
  }
  failed(*member, failure, span);
  co_return unreachable(Errc::unavailable);
}

// Once for each connection.
Task<Result<void>> EtcdConnections::look_at_state(EtcdMember* member, Deadline deadline) {
  if (!check_) co_return Result<void>();
  auto work = [this, member, deadline] { return check(member, deadline); };
  auto checked = co_await member->checking.join(work, deadline);
  if (!checked) co_return unreachable(Errc::deadline_exceeded);
  co_return *std::move(checked);
}

Task<Result<void>> EtcdConnections::check(EtcdMember* member, Deadline deadline) {
  std::uint64_t breaks = member->breaks;
  if (member->checked == breaks) co_return Result<void>();
  auto checked = co_await check_(member, first_attempt(time_left(deadline)));
  if (checked) member->checked = breaks;
  co_return checked;
}

Task<Result<void>> EtcdConnections::log_in(EtcdMember* member, Deadline deadline) {
  if (clock_.boot_now() < member->next_login) co_return unreachable(Errc::unavailable);
  auto span = first_attempt(time_left(deadline));
  pb::AuthenticateRequest request;
  request.set_name(options_.username);
  request.set_password(options_.password);
  pb::AuthenticateResponse response;
  // Even here an expired token would be refused.
  auto failure = co_await ask(member, &request, span, &response, EtcdToken::withheld);
  // No token is needed while authentication is disabled.
  bool open = failure.message.find("authentication is not enabled") != std::string::npos;
  if (failure.code != 0 && !open) {
    failure.message = "can't log in as " + options_.username + ": " + failure.message;
    failed(*member, failure, span);
    member->next_login = clock_.boot_now() + kBetweenFailedLogins;
    co_return unreachable(Errc::unavailable);
  }
  if (!open && !is_ours(*member, response.header())) co_return unreachable(Errc::unavailable);
  if (!open) member->verified = true;
  std::scoped_lock lock(mutex_);
  token_ = response.token();
  open_ = open;
  ++generation_;
  co_return Result<void>();
}

Task<void> EtcdConnections::look_at_version(EtcdMember* member, Deadline deadline) {
  pb::StatusRequest request;
  pb::StatusResponse response;
  auto failure = co_await ask(member, &request, first_attempt(time_left(deadline)), &response);
  if (failure.code == 0) warn_about(*member, response.version());
}

void EtcdConnections::warn_about(const EtcdMember& member, const std::string& version) {
  std::string faults = faults_of_etcd(version);
  if (faults.empty() || std::exchange(warned_version_, version) == version) return;
  log_.write(LogLevel::warn, "this version of etcd has known faults: " + faults,
             {{"endpoint", member.endpoint.name}, {"version", version}});
}

// A role made for older servers may lack the index entries of leases (R33), without which each grant would fail. The
// transaction does nothing, but etcd demands permission for everything that it might do. True: etcd has answered.
Task<bool> EtcdConnections::look_at_permissions(EtcdMember* member, Deadline deadline) {
  const std::string prefix(kLeaseIndexPrefix);
  pb::TxnRequest request;
  expect_revision(request, prefix, kAbsent);  // never there: no id has it
  *request.add_failure()->mutable_request_range() = range_of_prefix(prefix);
  request.add_failure()->mutable_request_delete_range()->set_key(prefix);
  pb::TxnResponse response;
  auto failure = co_await ask(member, &request, first_attempt(time_left(deadline)), &response);
  bool denied = failure.message.find("permission denied") != std::string::npos;
  if (denied) {
    log_.write(LogLevel::error, "the user of etcd must be allowed to read and write a prefix that leases need",
               {{"endpoint", member->endpoint.name}, {"prefix", prefix}});
  }
  co_return failure.code == 0 ||
      classify_etcd_error(failure.code, failure.message).next == EtcdErrorClass::Next::give_up;
}

}  // namespace sharedlock
