#pragma once

#include <etcd.grpc.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "store/etcd_completions_grpc.h"
#include "store/etcd_endpoint.h"
#include "store/etcd_options.h"
#include "store/shared_work.h"

namespace sharedlock {

// One endpoint: its channel, which connects by itself, and the services on it.
struct EtcdMember {
  EtcdMember(EtcdEndpoint where, const std::shared_ptr<grpc::Channel>& channel);

  EtcdEndpoint endpoint;
  std::size_t index = 0;
  etcdserverpb::KV::Stub kv;
  etcdserverpb::Lease::Stub lease;
  etcdserverpb::Watch::Stub watch;
  etcdserverpb::Auth::Stub auth;
  etcdserverpb::Maintenance::Stub maintenance;
  std::atomic<bool> verified = false;  // it has shown that it belongs to our cluster
};

// What a call to a member ended with, when it was not OK.
struct EtcdFailure {
  int code = 0;  // gRPC's
  std::string message;
};

// The members of one cluster: which to use now, whether it is really of that cluster (R20), who we are there. It is
// used by everything that talks to etcd. Thread-safe. Clock and log must outlive it; calls must have ended before it
// dies.
class EtcdConnections {
 public:
  // Throws nothing and connects to nothing: that happens with the first call. The endpoints must be sound.
  EtcdConnections(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& clock, Log& log);

  // The member to use now, for a call that takes part in the deadline: known to be of our cluster, and with a token
  // where there is a user. Fails with what is in the way.
  Task<Result<EtcdMember*>> use(Deadline deadline);

  // Looks at every member once, the first in the list first: so what is wrong with one is in the log early, and the
  // cluster is that of the first one that answers.
  Task<void> meet_all(Deadline deadline);

  // Makes a context for one call: its deadline is `span` from now, and it carries the token and, for streams,
  // `hasleader`.
  void prepare(grpc::ClientContext& context, std::chrono::nanoseconds span);
  void prepare_stream(grpc::ClientContext& context);

  // What is left for a call with this deadline, of a request's time at most; zero: nothing.
  std::chrono::nanoseconds time_left(Deadline deadline) const;
  // How long the first attempt of a call may take that has `whole`.
  std::chrono::nanoseconds first_attempt(std::chrono::nanoseconds whole) const;

  // Runs one unary call, prepared by `prepare(context, queue)`, to its end.
  template <class Response, class Reader>
  Task<EtcdFailure> finish(std::unique_ptr<Reader> reader, Response* response) {
    auto executor = co_await asio::this_coro::executor;
    grpc::Status status;
    auto start = [&](void* tag) {
      reader->StartCall();
      reader->Finish(response, &status, tag);
    };
    co_await completions_.completed(executor, start);
    co_return EtcdFailure{status.error_code(), status.error_message()};
  }

  // The answer of a member. False: it is of another cluster, and is not used any more for a while.
  bool is_ours(EtcdMember& member, const etcdserverpb::ResponseHeader& header);

  // It did what was asked; in how long, where that says how long others may take.
  void worked(const EtcdMember& member, std::optional<std::chrono::nanoseconds> took = std::nullopt);
  // An attempt that had `span` failed: the member is left alone for a while, unless it only had too little time.
  void failed(const EtcdMember& member, const EtcdFailure& failure, std::chrono::nanoseconds span);
  bool all_failed() const;

  // Forgets the token of this generation, so that the next call fetches another one.
  void renew_token(std::uint64_t generation);
  std::uint64_t token_generation() const;

  // Why etcd could not be reached last, for people.
  Error unreachable(Errc code) const;

  const EtcdOptions& options() const { return options_; }
  EtcdCompletions& completions() { return completions_; }
  Clock& clock() { return clock_; }
  Log& log() { return log_; }

 private:
  Task<Result<void>> verify(EtcdMember* member, Deadline deadline);
  Task<Result<void>> authenticate(EtcdMember* member, Deadline deadline);
  void warn_about(const EtcdMember& member, const std::string& version);
  BootTime next_login() const;
  Error unreachable_locked(Errc code) const;

  const EtcdOptions options_;
  Clock& clock_;
  Log& log_;
  std::vector<std::unique_ptr<EtcdMember>> members_;
  std::atomic<std::uint64_t> cluster_{0};  // 0: not known yet

  mutable std::mutex mutex_;
  EtcdEndpointChoice choice_;
  EtcdPace pace_;
  std::string why_;               // the last failure
  std::string token_;             // empty: none
  bool open_ = false;             // etcd asks nobody who he is
  std::uint64_t generation_ = 0;  // of the token
  BootTime next_login_;           // not before: etcd makes each one cost it much time
  std::string warned_version_;

  SharedWork<Result<void>> authenticating_;
  EtcdCompletions completions_;
};

}  // namespace sharedlock
