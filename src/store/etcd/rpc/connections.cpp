#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/rpc/error_class.h"

namespace sharedlock {

namespace {

// How long a member may leave everything unanswered before another one is used; less for requests with less time.
constexpr std::chrono::nanoseconds kBearable = std::chrono::milliseconds(300);

// Debian's trusted authorities; gRPC has a list of its own.
constexpr const char* kMachinesAuthorities = "/etc/ssl/certs/ca-certificates.crt";

std::string machines_authorities() {
  std::ifstream file(kMachinesAuthorities, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : std::string();
}

// gRPC writes log lines to stderr, where only this program's are expected. A failed call reports the same. To debug
// gRPC itself, set this variable, which keeps the lines.
void silence_grpc() {
  if (!std::getenv("GRPC_VERBOSITY")) gpr_set_log_function([](gpr_log_func_args*) {});
}

std::shared_ptr<grpc::ChannelCredentials> credentials_for(const EtcdEndpoint& endpoint, const EtcdOptions& options) {
  if (!endpoint.tls) return grpc::InsecureChannelCredentials();
  const EtcdTls& tls = options.tls ? *options.tls : options.https;
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = tls.ca.empty() ? machines_authorities() : tls.ca;
  ssl.pem_cert_chain = tls.certificate;
  ssl.pem_private_key = tls.key;
  return grpc::SslCredentials(ssl);
}

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // a proxy in the environment is not meant for etcd
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);     // repeats are decided here
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  // The default waits up to two minutes before it reconnects.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  // etcd closes connections that ping more often than every 5 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  return arguments;
}

// Whether etcd itself has answered, though it did not do what was asked.
bool is_from_etcd(const EtcdFailure& failure) {
  return failure.code == kUnusableAnswer || failure.message.find("etcdserver: ") != std::string::npos;
}

std::vector<std::string> names_of(const std::vector<EtcdEndpoint>& endpoints) {
  std::vector<std::string> names;
  names.reserve(endpoints.size());
  for (const EtcdEndpoint& endpoint : endpoints) names.push_back(endpoint.name);
  return names;
}

}  // namespace

EtcdMember::EtcdMember(EtcdEndpoint where, std::shared_ptr<grpc::Channel> to, Clock& clock)
    : endpoint(std::move(where)),
      channel(std::move(to)),
      kv(channel),
      nested(channel),
      lease(channel),
      watch(channel),
      auth(channel),
      maintenance(channel),
      handshaking(clock),
      checking(clock) {}

EtcdConnections::EtcdConnections(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& clock, Log& log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      choice_(endpoints.size()),
      clusters_(names_of(endpoints)),
      looking_(clock) {
  silence_grpc();
  for (EtcdEndpoint& endpoint : endpoints) {
    auto channel = grpc::CreateCustomChannel(endpoint.target, credentials_for(endpoint, options_), channel_arguments());
    members_.push_back(std::make_unique<EtcdMember>(std::move(endpoint), channel, clock));
    members_.back()->index = members_.size() - 1;
  }
}

Task<Result<EtcdMember*>> EtcdConnections::use(Deadline deadline) {
  if (!all_asked_) {
    auto work = [this, deadline] { return look_at_all(deadline); };
    auto looked = co_await looking_.join(work, deadline);
    if (!looked) co_return unreachable(Errc::deadline_exceeded);
    if (!*looked) co_return looked->error();
  }
  if (in_conflict_) co_return unreachable(Errc::unavailable);
  EtcdMember* member = nullptr;
  {
    std::scoped_lock lock(mutex_);
    member = members_[choice_.pick(clock_.boot_now())].get();
  }
  // The connection may have broken while idle; the channel would reconnect by itself, perhaps to another server.
  if (!member->is_connected()) broke(*member);
  if (!member->verified || needs_token()) {
    auto ready = co_await handshake(member, deadline);
    if (!ready) co_return ready.error();
    if (!member->verified) co_return unreachable(Errc::unavailable);
  }
  if (check_ && member->checked != member->breaks) {
    auto looked = co_await look_at_state(member, deadline);
    if (!looked) co_return looked.error();
  }
  co_return member;
}

void EtcdConnections::prepare(grpc::ClientContext& context, std::chrono::nanoseconds span, EtcdToken token) {
  // By the monotonic clock: a step of the wall clock must not end a call.
  auto now = gpr_now(GPR_CLOCK_MONOTONIC);
  context.set_deadline(gpr_time_add(now, gpr_time_from_nanos(std::max<std::int64_t>(span.count(), 0), GPR_TIMESPAN)));
  if (token == EtcdToken::sent) add_token(context);
}

void EtcdConnections::prepare_stream(grpc::ClientContext& context) {
  // etcd then ends the stream when its member has seen no leader for three election timeouts.
  context.AddMetadata("hasleader", "true");
  add_token(context);
}

void EtcdConnections::add_token(grpc::ClientContext& context) {
  std::scoped_lock lock(mutex_);
  if (!token_.empty()) context.AddMetadata("token", token_);
}

std::chrono::nanoseconds EtcdConnections::time_left(Deadline deadline) const {
  std::chrono::nanoseconds most = options_.request_timeout;
  BootTime now = clock_.boot_now();
  if (deadline.at <= now) return std::chrono::nanoseconds(0);
  return std::min(deadline.at - now, most);
}

std::chrono::nanoseconds EtcdConnections::first_attempt(std::chrono::nanoseconds whole) const {
  std::scoped_lock lock(mutex_);
  return pace_.first_attempt(whole);
}

bool EtcdConnections::is_ours(EtcdMember& member, const etcdserverpb::ResponseHeader& header) {
  std::uint64_t id = header.cluster_id();
  if (id == 0) return false;
  if (id == member.cluster && !in_conflict_ && !member.away) return true;
  EtcdClusters::News news;
  std::string conflict;
  {
    std::scoped_lock lock(mutex_);
    news = clusters_.answered(member.index, id);
    conflict = clusters_.conflict();
    member.cluster = id;
    member.away = false;
    in_conflict_ = !conflict.empty();
    all_asked_ = clusters_.all_asked();
  }
  if (news == EtcdClusters::News::foreign) {
    log_.write(LogLevel::error, "nothing is served: " + conflict, {{"endpoint", member.endpoint.name}});
  } else if (news == EtcdClusters::News::returned) {
    log_.write(LogLevel::warn, "an etcd endpoint belongs to the cluster again", {{"endpoint", member.endpoint.name}});
  }
  return conflict.empty();
}

void EtcdConnections::worked(const EtcdMember& member, std::optional<std::chrono::nanoseconds> took) {
  std::scoped_lock lock(mutex_);
  choice_.worked(member.index);
  if (took) pace_.answered(*took);
}

// After the connection to an address has broken, another server may have that address.
void EtcdConnections::failed(EtcdMember& member, const EtcdFailure& failure, std::chrono::nanoseconds span) {
  bool in_time = failure.code != grpc_code::kDeadlineExceeded;
  std::string why = etcd_trouble(member.endpoint.name, failure.code, failure.message);
  // With TLS 1.3 etcd refuses a certificate by closing a connection that seemed established.
  bool maybe_refused = member.endpoint.tls && why.find("Endpoint read failed") != std::string::npos;
  if (maybe_refused) why += " (it may not take our client certificate, or want one)";
  if (failure.code == grpc_code::kPermissionDenied) {
    why += "; the user of etcd must be allowed to read and write all keys that begin with /shared-lock or are locks";
  }
  BootTime now = clock_.boot_now();
  auto bearable = std::min<std::chrono::nanoseconds>(kBearable, options_.request_timeout / 3);
  std::scoped_lock lock(mutex_);
  if (in_time) {
    broke(member);
    choice_.failed(member.index, now);
  } else if (!choice_.silent(member.index, now - span, now, bearable)) {
    return;
  }
  member.away = !is_from_etcd(failure);
  clusters_.missed(member.index, member.away);
  all_asked_ = clusters_.all_asked();
  why_ = std::move(why);
}

void EtcdConnections::broke(EtcdMember& member) {
  member.verified = false;
  ++member.breaks;
}

bool EtcdConnections::all_failed() const {
  std::scoped_lock lock(mutex_);
  return choice_.all_failed(clock_.boot_now());
}

void EtcdConnections::renew_token(std::uint64_t generation) {
  std::scoped_lock lock(mutex_);
  if (generation != generation_) return;
  token_.clear();
  open_ = false;
}

std::uint64_t EtcdConnections::token_generation() const {
  std::scoped_lock lock(mutex_);
  return generation_;
}

Error EtcdConnections::unreachable(Errc code) const {
  std::scoped_lock lock(mutex_);
  return unreachable_locked(code);
}

Error EtcdConnections::unreachable_locked(Errc code) const {
  if (!clusters_.conflict().empty()) return {code, clusters_.conflict()};
  std::string message = why_.empty() ? "etcd does not answer" : why_;
  if (!clusters_.any_answered() && !options_.advice.empty()) message += "; " + options_.advice;
  return {code, std::move(message)};
}

bool EtcdConnections::needs_token() const {
  if (options_.username.empty()) return false;
  std::scoped_lock lock(mutex_);
  return token_.empty() && !open_;
}

bool EtcdConnections::was_asked(const EtcdMember& member) const {
  std::scoped_lock lock(mutex_);
  return clusters_.asked(member.index);
}

}  // namespace sharedlock
