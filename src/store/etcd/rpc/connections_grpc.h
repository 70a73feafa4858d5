#pragma once

#include <etcd.grpc.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/async_event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "store/etcd/options.h"
#include "store/etcd/rpc/clusters.h"
#include "store/etcd/rpc/completions_grpc.h"
#include "store/etcd/rpc/endpoint.h"
#include "store/etcd/rpc/nested_grpc.h"

namespace sharedlock {

// One endpoint: its channel, which connects by itself, and the services on it.
struct EtcdMember {
  EtcdMember(EtcdEndpoint where, std::shared_ptr<grpc::Channel> to, Clock& clock);

  bool is_connected() { return channel->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY; }

  // Prepares the call that takes such a request.
  auto prepare(grpc::ClientContext* context, const etcdserverpb::RangeRequest& request, grpc::CompletionQueue* queue) {
    return kv.PrepareAsyncRange(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::TxnRequest& request, grpc::CompletionQueue* queue) {
    return kv.PrepareAsyncTxn(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const EtcdNestedRequest& request, grpc::CompletionQueue* queue) {
    static const std::string kMethod = "/etcdserverpb.KV/Txn";
    return nested.PrepareUnaryCall(context, kMethod, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::LeaseGrantRequest& request,
               grpc::CompletionQueue* queue) {
    return lease.PrepareAsyncLeaseGrant(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::LeaseRevokeRequest& request,
               grpc::CompletionQueue* queue) {
    return lease.PrepareAsyncLeaseRevoke(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::LeaseTimeToLiveRequest& request,
               grpc::CompletionQueue* queue) {
    return lease.PrepareAsyncLeaseTimeToLive(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::AuthenticateRequest& request,
               grpc::CompletionQueue* queue) {
    return auth.PrepareAsyncAuthenticate(context, request, queue);
  }
  auto prepare(grpc::ClientContext* context, const etcdserverpb::StatusRequest& request, grpc::CompletionQueue* queue) {
    return maintenance.PrepareAsyncStatus(context, request, queue);
  }

  EtcdEndpoint endpoint;
  std::size_t index = 0;
  std::shared_ptr<grpc::Channel> channel;
  etcdserverpb::KV::Stub kv;
  grpc::TemplatedGenericStub<EtcdNestedRequest, EtcdNestedResponse> nested;  // of KV, too
  etcdserverpb::Lease::Stub lease;
  etcdserverpb::Watch::Stub watch;
  etcdserverpb::Auth::Stub auth;
  etcdserverpb::Maintenance::Stub maintenance;
  SingleFlight<Result<void>> handshaking;
  SingleFlight<Result<void>> checking;
  std::atomic<bool> verified = false;      // it has named its cluster, and its connection has lasted since
  std::atomic<std::uint64_t> breaks = 1;   // how often its connection may have broken, plus one
  std::atomic<std::uint64_t> checked = 0;  // the value of `breaks` when its state was last checked
  std::atomic<std::uint64_t> cluster = 0;  // as last reported
  std::atomic<bool> away = false;          // it has not answered since
  std::atomic<std::uint64_t> term = 0;     // of raft, as last reported
  BootTime next_login;                     // not before: each login costs etcd much time
  bool warned = false;                     // about its version, if necessary
};

// How a call to a member failed.
struct EtcdFailure {
  int code = 0;  // gRPC's
  std::string message;
};

// Whether the token of this server's login, if there is one, goes with a call.
enum class EtcdToken { sent, withheld };

// The members of one cluster: which one to use now, whether all really belong to one cluster (R20), and this server's
// login there. All traffic to etcd goes through it. Thread-safe. Clock and log must outlive it; its calls must have
// ended before it is destroyed.
//
// Before the first call every member is asked once which cluster it belongs to. After its connection broke, a member is
// asked again before it is used, and its state is checked. The question is a read; if there is a user, the login comes
// first. While any endpoint is known to belong to another cluster than the one that answered first, nothing works:
// `unavailable`.
class EtcdConnections {
 public:
  // Does not throw and does not connect: the first call does. The endpoints must be valid.
  EtcdConnections(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& clock, Log& log);

  // The question to a member before any other, on each new connection; set it before the first call. While it fails,
  // the member is not used. Its arguments are the member and how long it may take.
  using Check = std::function<Task<Result<void>>(EtcdMember*, std::chrono::nanoseconds)>;
  void set_check(Check check) { check_ = std::move(check); }

  // Asked when all endpoints that answer now belong to one other cluster. True: it is ours nevertheless, and from now
  // on its answers count. Set it before the first call.
  using Recognize = std::function<Task<bool>(EtcdMember*, std::chrono::nanoseconds)>;
  void set_recognize(Recognize recognize) { recognize_ = std::move(recognize); }

  // The member to use now, for a call with this deadline: known to be of our cluster, and with a token if there is a
  // user. The error names the obstacle.
  Task<Result<EtcdMember*>> use(Deadline deadline);

  // Checks every member again and again, in use or not, until stop_looking(), which must be called on the same
  // executor.
  Task<void> keep_looking();
  void stop_looking();

  // Makes the context of a stream, with `hasleader` and the token.
  void prepare_stream(grpc::ClientContext& context);

  // The time left for a call with this deadline, at most a request's time; zero: none.
  std::chrono::nanoseconds time_left(Deadline deadline) const;
  // How long the first attempt of a call may take that has `whole` in total.
  std::chrono::nanoseconds first_attempt(std::chrono::nanoseconds whole) const;

  // Makes one unary call to that member and waits for its end, for `span` at most.
  template <class Request, class Response>
  Task<EtcdFailure> ask(EtcdMember* member, const Request* request, std::chrono::nanoseconds span, Response* response,
                        EtcdToken token = EtcdToken::sent) {
    grpc::ClientContext context;
    prepare(context, span, token);
    auto reader = member->prepare(&context, *request, &completions_.queue());
    grpc::Status status;
    auto start = [&](void* tag) {
      reader->StartCall();
      reader->Finish(response, &status, tag);
    };
    co_await completions_.completed(start);
    co_return EtcdFailure{status.error_code(), status.error_message()};
  }

  // The member has answered. False: the answer must not be believed, since some endpoint belongs to another cluster.
  bool is_ours(EtcdMember& member, const etcdserverpb::ResponseHeader& header);

  // It did what was asked; `took`, if given, helps to judge how long others may take.
  void worked(const EtcdMember& member, std::optional<std::chrono::nanoseconds> took = std::nullopt);
  // An attempt with time `span` failed: the member is avoided for a while, unless it only had too little time.
  void failed(EtcdMember& member, const EtcdFailure& failure, std::chrono::nanoseconds span);
  bool all_failed() const;

  // Forgets the token of this generation, so that the next call fetches a new one.
  void renew_token(std::uint64_t generation);
  std::uint64_t token_generation() const;

  // Why etcd could not be reached most recently, for people.
  Error unreachable(Errc code) const;

  const EtcdOptions& options() const { return options_; }
  EtcdCompletions& completions() { return completions_; }
  Clock& clock() { return clock_; }
  Log& log() { return log_; }

 private:
  Task<Result<void>> look_at_all(Deadline deadline);
  Task<Result<void>> handshake(EtcdMember* member, Deadline deadline);
  Task<Result<void>> run_handshake(EtcdMember* member, Deadline deadline);
  Task<Result<void>> look_at_state(EtcdMember* member, Deadline deadline);
  Task<Result<void>> check(EtcdMember* member, Deadline deadline);
  static void broke(EtcdMember& member);
  Task<void> look_at_other_cluster();
  std::optional<std::size_t> elsewhere() const;
  Task<Result<void>> identify(EtcdMember* member, Deadline deadline);
  Task<Result<void>> log_in(EtcdMember* member, Deadline deadline);
  void prepare(grpc::ClientContext& context, std::chrono::nanoseconds span, EtcdToken token);
  void add_token(grpc::ClientContext& context);
  Task<void> look_at_version(EtcdMember* member, Deadline deadline);
  bool was_asked(const EtcdMember& member) const;
  bool needs_token() const;
  void warn_about(const EtcdMember& member, const std::string& version);
  Task<bool> look_at_permissions(EtcdMember* member, Deadline deadline);
  Error unreachable_locked(Errc code) const;

  const EtcdOptions options_;
  Clock& clock_;
  Log& log_;
  Check check_;
  Recognize recognize_;
  std::vector<std::unique_ptr<EtcdMember>> members_;
  std::atomic<bool> all_asked_ = false;
  std::atomic<bool> in_conflict_ = false;

  mutable std::mutex mutex_;
  EtcdEndpointChoice choice_;
  EtcdPace pace_;
  EtcdClusters clusters_;
  std::string why_;               // the last failure
  std::string token_;             // empty: none
  bool open_ = false;             // etcd's authentication is disabled
  std::uint64_t generation_ = 0;  // of the token

  SingleFlight<Result<void>> looking_;
  std::optional<AsyncEvent> wake_;      // for keep_looking()
  bool stopping_ = false;               // on its executor
  std::string warned_version_;          // on its executor
  bool looked_at_permissions_ = false;  // likewise
  EtcdCompletions completions_;
};

}  // namespace sharedlock
