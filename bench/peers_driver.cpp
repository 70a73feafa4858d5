// Clients of several lock services, all with the same loop, for script/bench to compare the server with its peers.
//
// Usage: peers_driver HOST:PORT PROTOCOL CONNECTIONS|hand-over SECONDS
//   PROTOCOL     lock          the lock API: acquire, release; waits in the queue
//                lock-poll     the same; waits by asking again 10 ms after each refusal
//                lease         the lease API: a lease and its release; waits in the queue
//                lease-grant   the lease API: a lease of a fresh key each time, and no release
//                redis         SET NX PX, and a script that compares and deletes; waits for a message of the release's
//                              script, and then tries
//                v3lock        etcd's own locks, under one lease of each connection's; etcd queues
//                v3lock-lease  the same, a lease for each lock: grant, lock, unlock, revoke
//   CONNECTIONS  each takes a lock of its own and gives it back, over and over
//   hand-over    one connection waits for the lock that another one holds and then gives back; they take turns
// Prints one JSON object: operations_per_second; p50 and p99, in microseconds, of taking and giving back, or of a
// hand-over, from the sending of the release until the waiter has the lock; operations, those of the warm-up too; and
// cpu_seconds: the CPU time that this program took for all of them.
#include <etcd.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <v3lock.grpc.pb.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "load/histogram.h"
#include "peers_client.h"
#include "peers_sockets.h"

namespace {

using namespace sharedlock::bench;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;

constexpr milliseconds kWarmUp{500};       // before anything is measured
constexpr milliseconds kPatience{30'000};  // with a server that does not answer
// From the beginning of a wait to the release. An etcd looks every 100 ms at watches that begin with what is past, as
// those of its locks' waiters do: a release that comes sooner is seen late.
constexpr milliseconds kShortestPause{110};
constexpr milliseconds kLongestPause{120};

// --- etcd ------------------------------------------------------------------------------------------------------------

class EtcdClient final : public Client {
 public:
  EtcdClient(const std::string& where, std::string lock, bool lease_for_each, grpc::CompletionQueue& queue)
      : channel_(connection(where)),
        leases_(channel_),
        locks_(channel_),
        queue_(queue),
        lock_(std::move(lock)),
        lease_for_each_(lease_for_each) {
    lease_request_.set_ttl(kTtl);
    grpc::ClientContext context;
    if (!lease_for_each_) status_ = leases_.LeaseGrant(&context, lease_request_, &lease_);
    if (!status_.ok()) throw std::runtime_error("no lease: " + status_.error_message());
  }

  void acquire() override {
    if (lease_for_each_) {
      step_ = Step::grant;
      call(lease_, [&](auto* context) { return leases_.AsyncLeaseGrant(context, lease_request_, &queue_); });
    } else {
      take();
    }
  }
  void wait() override { acquire(); }
  void release() override {
    step_ = Step::unlock;
    v3lockpb::UnlockRequest request;
    request.set_key(locked_.key());
    call(unlocked_, [&](auto* context) { return locks_.AsyncUnlock(context, request, &queue_); });
  }

  // After a step. True when what was begun is over.
  bool proceed(bool ok) {
    if (!ok || !status_.ok()) throw std::runtime_error("etcd: " + status_.error_message());
    if (step_ == Step::grant) {
      take();
      return false;
    }
    if (step_ == Step::unlock && lease_for_each_) {
      revoke();
      return false;
    }
    return true;
  }

 private:
  enum class Step { grant, lock, unlock, revoke };

  static std::shared_ptr<grpc::Channel> connection(const std::string& where) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // otherwise all channels share one connection
    return grpc::CreateCustomChannel(where, grpc::InsecureChannelCredentials(), arguments);
  }

  void take() {
    step_ = Step::lock;
    v3lockpb::LockRequest request;
    request.set_name(lock_);
    request.set_lease(lease_.id());
    call(locked_, [&](auto* context) { return locks_.AsyncLock(context, request, &queue_); });
  }

  void revoke() {
    step_ = Step::revoke;
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease_.id());
    call(revoked_, [&](auto* context) { return leases_.AsyncLeaseRevoke(context, request, &queue_); });
  }

  template <class Response, class Start>
  void call(Response& response, Start start) {
    reader_.reset();
    auto reader = start(&context_.emplace());
    response.Clear();
    reader->Finish(&response, &status_, this);
    reader_ = std::move(reader);
  }

  std::shared_ptr<grpc::Channel> channel_;
  etcdserverpb::Lease::Stub leases_;
  v3lockpb::Lock::Stub locks_;
  grpc::CompletionQueue& queue_;
  const std::string lock_;
  const bool lease_for_each_;
  Step step_ = Step::grant;
  etcdserverpb::LeaseGrantRequest lease_request_;
  etcdserverpb::LeaseGrantResponse lease_;
  etcdserverpb::LeaseRevokeResponse revoked_;
  v3lockpb::LockResponse locked_;
  v3lockpb::UnlockResponse unlocked_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::shared_ptr<void> reader_;
};

class EtcdEvents final : public Events {
 public:
  Client* next(TimePoint until) override {
    void* tag = nullptr;
    bool ok = false;
    auto deadline = std::chrono::system_clock::now() + (until - steady_clock::now());
    while (queue.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
      auto* client = static_cast<EtcdClient*>(tag);
      if (client->proceed(ok)) return client;
    }
    return nullptr;
  }

  grpc::CompletionQueue queue;
};

// --- the loop --------------------------------------------------------------------------------------------------------

struct Peer {
  std::unique_ptr<Events> events;
  std::vector<std::unique_ptr<Client>> clients;
};

std::unique_ptr<SocketClient> socket_client(std::string_view protocol, const sockaddr_in& where,
                                            const std::string& lock, const std::string& holder, bool waits) {
  if (protocol == "lock") return std::make_unique<LockClient>(where, lock, holder, false);
  if (protocol == "lock-poll") return std::make_unique<LockClient>(where, lock, holder, true);
  if (protocol == "lease") return std::make_unique<LeaseClient>(where, lock);
  if (protocol == "lease-grant") return std::make_unique<LeaseGrantClient>(where, lock);
  if (protocol == "redis") return std::make_unique<RedisClient>(where, lock, holder, waits);
  throw std::runtime_error("unknown protocol " + std::string(protocol));
}

// Clients of the server there; those that wait want one lock.
Peer connect(const std::string& where, std::string_view protocol, int count, bool wait) {
  Peer peer;
  std::unique_ptr<EtcdEvents> etcd;
  if (protocol.starts_with("v3lock")) etcd = std::make_unique<EtcdEvents>();
  std::vector<SocketClient*> sockets;
  for (int i = 0; i < count; ++i) {
    const std::string holder = "peer-" + std::to_string(i);
    const std::string lock = wait ? "bench-peers" : "bench-" + holder;
    if (etcd) {
      peer.clients.push_back(std::make_unique<EtcdClient>(where, lock, protocol == "v3lock-lease", etcd->queue));
    } else {
      auto client = socket_client(protocol, address(where), lock, holder, wait);
      sockets.push_back(client.get());
      peer.clients.push_back(std::move(client));
    }
  }
  if (etcd) {
    peer.events = std::move(etcd);
  } else {
    peer.events = std::make_unique<SocketEvents>(sockets);
  }
  return peer;
}

// What was measured, from the end of the warm-up on.
struct Measured {
  explicit Measured(double seconds)
      : begin(steady_clock::now() + kWarmUp),
        end(begin + std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds))) {}

  // An operation that is over. True when it is not the last.
  bool record(std::chrono::nanoseconds took) {
    auto now = steady_clock::now();
    if (now >= begin && now < end) latencies.record(took);
    ++operations;
    return now < end;
  }

  TimePoint begin, end;
  Histogram latencies;
  std::uint64_t operations = 0;
};

Client& next(Events& events) {
  Client* client = events.next(steady_clock::now() + kPatience);
  if (client == nullptr) throw std::runtime_error("the server does not answer");
  return *client;
}

void begin_pair(Client& client) {
  client.begun = steady_clock::now();
  client.releasing = false;
  client.acquire();
}

void pairs(Peer& peer, Measured& measured) {
  for (auto& client : peer.clients) begin_pair(*client);
  for (std::size_t under_way = peer.clients.size(); under_way > 0;) {
    Client& client = next(*peer.events);
    if (!client.releasing && client.can_release()) {
      client.releasing = true;
      client.release();
    } else if (measured.record(steady_clock::now() - client.begun)) {
      begin_pair(client);
    } else {
      --under_way;
    }
  }
}

// From the sending of the release until the waiter has the lock; on return the release is answered, too.
std::chrono::nanoseconds hand_over(Events& events, Client& holder, Client& waiter) {
  const auto begun = steady_clock::now();
  holder.release();
  bool released = false;
  while (&next(events) != &waiter) released = true;
  const auto took = steady_clock::now() - begun;
  if (!released) next(events);
  return took;
}

void hand_overs(Peer& peer, Measured& measured) {
  std::minstd_rand random(1);
  std::uniform_int_distribution<std::chrono::microseconds::rep> pauses(
      std::chrono::microseconds(kShortestPause).count(), std::chrono::microseconds(kLongestPause).count());
  Client* holder = peer.clients[0].get();
  Client* waiter = peer.clients[1].get();
  holder->acquire();
  next(*peer.events);
  do {
    waiter->wait();
    auto pause = std::chrono::microseconds(pauses(random));
    if (peer.events->next(steady_clock::now() + pause) != nullptr) throw std::runtime_error("two hold one lock");
    std::swap(holder, waiter);
  } while (measured.record(hand_over(*peer.events, *waiter, *holder)));
}

void measure(const std::string& where, std::string_view protocol, std::string_view work, double seconds) {
  const bool wait = work == "hand-over";
  int count = 2;
  if (!wait && (std::from_chars(work.begin(), work.end(), count).ptr != work.end() || count < 1)) {
    throw std::runtime_error("not a number of connections: " + std::string(work));
  }
  Peer peer = connect(where, protocol, count, wait);
  const std::clock_t before = std::clock();
  Measured measured(seconds);
  if (wait) {
    hand_overs(peer, measured);
  } else {
    pairs(peer, measured);
  }
  const auto& latencies = measured.latencies;
  auto microseconds = [&](double share) { return static_cast<double>(latencies.at(share).count()) / 1e3; };
  std::printf(R"({"operations_per_second": %.1f, "p50": %.1f, "p99": %.1f, "operations": %llu, "cpu_seconds": %.3f})"
              "\n",
              static_cast<double>(latencies.count()) / seconds, microseconds(0.5), microseconds(0.99),
              static_cast<unsigned long long>(measured.operations),
              static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: peers_driver HOST:PORT PROTOCOL CONNECTIONS|hand-over SECONDS\n", stderr);
    return 64;
  }
  try {
    measure(argv[1], argv[2], argv[3], std::atof(argv[4]));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "peers_driver: %s\n", failure.what());
    return 1;
  }
  return 0;
}
