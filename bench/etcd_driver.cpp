// How fast etcd is for its usual clients: one call for each step, straight over gRPC, without a server of ours.
// script/bench compares the server with this, on the same etcd.
//
// Usage: etcd_driver HOST:PORT WORKLOAD CONNECTIONS SECONDS
//   WORKLOAD  txn        a lock by one transaction, put if absent, under a lease that is there: a fresh name each time
//             pair       the same, and a transaction that deletes it: two operations
//             grant      a lease
//             grant-txn  a lease, and then a lock under it: one operation
//             keepalive  a lease kept alive once, by a stream of its own
//   CONNECTIONS  operations in flight, each followed by the next when it is answered
// Prints one JSON object: operations_per_second, p50 and p99 of an operation in microseconds, and cpu_seconds: the CPU
// time that this program took.
#include <etcd.grpc.pb.h>
#include <grpcpp/grpcpp.h>

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
#include <vector>

#include "load/histogram.h"

namespace {

namespace pb = etcdserverpb;
using std::chrono::steady_clock;

constexpr std::int64_t kTtl = 600;

struct Etcd {
  explicit Etcd(const std::shared_ptr<grpc::Channel>& channel) : kv(channel), lease(channel) {}
  pb::KV::Stub kv;
  pb::Lease::Stub lease;
  grpc::CompletionQueue queue;
};

pb::TxnRequest put_if_absent(const std::string& key, std::int64_t lease) {
  pb::TxnRequest request;
  pb::Compare& absent = *request.add_compare();
  absent.set_target(pb::Compare::MOD);
  absent.set_key(key);
  absent.set_mod_revision(0);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(R"({"instanceId":"direct","expiry":0,"leaseDuration":600})");
  put.set_lease(lease);
  request.add_failure()->mutable_request_range()->set_key(key);
  return request;
}

pb::TxnRequest delete_if_mine(const std::string& key, std::int64_t revision) {
  pb::TxnRequest request;
  pb::Compare& mine = *request.add_compare();
  mine.set_target(pb::Compare::MOD);
  mine.set_key(key);
  mine.set_mod_revision(revision);
  request.add_success()->mutable_request_delete_range()->set_key(key);
  return request;
}

pb::LeaseGrantRequest any_lease() {
  pb::LeaseGrantRequest request;
  request.set_ttl(kTtl);
  return request;
}

// One operation after another; each of its steps ends as an event of the queue, with the client as its tag.
class Client {
 public:
  Client(Etcd& etcd, std::string name, std::int64_t lease) : etcd_(etcd), name_(std::move(name)), lease_(lease) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  void begin() {
    begun_ = steady_clock::now();
    step_ = 0;
    go_on();
  }

  // After a step. True when the operation is over.
  bool proceed(bool ok) {
    if (!ok || !status_.ok()) throw std::runtime_error("etcd: " + status_.error_message());
    ++step_;
    return go_on();
  }

  std::chrono::nanoseconds took() const { return steady_clock::now() - begun_; }

 protected:
  // Begins step step_. True when there is none left.
  virtual bool go_on() = 0;

  void transact(const pb::TxnRequest& request) {
    call(txn_, [&](auto* context) { return etcd_.kv.AsyncTxn(context, request, &etcd_.queue); });
  }
  void grant() {
    call(granted_, [&](auto* context) { return etcd_.lease.AsyncLeaseGrant(context, any_lease(), &etcd_.queue); });
  }
  std::string next_key() { return name_ + std::to_string(number_++); }

  Etcd& etcd_;
  std::string name_;
  std::int64_t lease_;
  int step_ = 0;
  pb::TxnResponse txn_;
  pb::LeaseGrantResponse granted_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;

 private:
  template <class Response, class Start>
  void call(Response& response, Start start) {
    reader_.reset();
    auto reader = start(&context_.emplace());
    response.Clear();
    reader->Finish(&response, &status_, this);
    reader_ = std::move(reader);
  }

  std::uint64_t number_ = 0;
  steady_clock::time_point begun_;
  std::shared_ptr<void> reader_;
};

class TxnClient final : public Client {
 public:
  using Client::Client;

 private:
  bool go_on() override {
    if (step_ == 0) transact(put_if_absent(next_key(), lease_));
    return step_ == 1;
  }
};

class PairClient final : public Client {
 public:
  using Client::Client;

 private:
  bool go_on() override {
    if (step_ == 0) transact(put_if_absent(key_ = next_key(), lease_));
    if (step_ == 1) transact(delete_if_mine(key_, txn_.header().revision()));
    return step_ == 2;
  }
  std::string key_;
};

class GrantClient final : public Client {
 public:
  using Client::Client;

 private:
  bool go_on() override {
    if (step_ == 0) grant();
    return step_ == 1;
  }
};

class GrantTxnClient final : public Client {
 public:
  using Client::Client;

 private:
  bool go_on() override {
    if (step_ == 0) grant();
    if (step_ == 1) transact(put_if_absent(next_key(), granted_.id()));
    return step_ == 2;
  }
};

class KeepaliveClient final : public Client {
 public:
  using Client::Client;

 private:
  // A stream that begins, takes one request, gives one answer, and ends.
  bool go_on() override {
    switch (step_) {
      case 0:
        stream_.reset();
        stream_ = etcd_.lease.PrepareAsyncLeaseKeepAlive(&context_.emplace(), &etcd_.queue);
        stream_->StartCall(this);
        return false;
      case 1:
        request_.set_id(lease_);
        stream_->Write(request_, this);
        return false;
      case 2:
        stream_->Read(&answer_, this);
        return false;
      case 3:
        if (answer_.ttl() <= 0) throw std::runtime_error("a lease ended that was kept alive");
        stream_->WritesDone(this);
        return false;
      case 4:
        stream_->Finish(&status_, this);
        return false;
      default:
        return true;
    }
  }

  pb::LeaseKeepAliveRequest request_;
  pb::LeaseKeepAliveResponse answer_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>> stream_;
};

std::unique_ptr<Client> make_client(std::string_view workload, Etcd& etcd, std::string name, std::int64_t lease) {
  if (workload == "txn") return std::make_unique<TxnClient>(etcd, std::move(name), lease);
  if (workload == "pair") return std::make_unique<PairClient>(etcd, std::move(name), lease);
  if (workload == "grant") return std::make_unique<GrantClient>(etcd, std::move(name), lease);
  if (workload == "grant-txn") return std::make_unique<GrantTxnClient>(etcd, std::move(name), lease);
  if (workload == "keepalive") return std::make_unique<KeepaliveClient>(etcd, std::move(name), lease);
  throw std::runtime_error("unknown workload " + std::string(workload));
}

std::int64_t new_lease(Etcd& etcd) {
  grpc::ClientContext context;
  pb::LeaseGrantResponse granted;
  auto status = etcd.lease.LeaseGrant(&context, any_lease(), &granted);
  if (!status.ok()) throw std::runtime_error("no lease: " + status.error_message());
  return granted.id();
}

void measure(const std::string& where, std::string_view workload, int connections, double seconds) {
  Etcd etcd(grpc::CreateChannel(where, grpc::InsecureChannelCredentials()));
  const std::string run = "direct/" + std::to_string(std::random_device{}()) + "/";
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < connections; ++i) {
    clients.push_back(make_client(workload, etcd, run + std::to_string(i) + "-", new_lease(etcd)));
  }
  for (auto& client : clients) client->begin();

  sharedlock::bench::Histogram latencies;
  const auto begin = steady_clock::now() + std::chrono::milliseconds(500);  // warm-up until then
  const auto end = begin + std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds));
  int under_way = connections;
  void* tag = nullptr;
  bool ok = false;
  while (under_way > 0 && etcd.queue.Next(&tag, &ok)) {
    auto* client = static_cast<Client*>(tag);
    if (!client->proceed(ok)) continue;
    auto now = steady_clock::now();
    if (now >= begin && now < end) latencies.record(client->took());
    if (now < end) {
      client->begin();
    } else {
      --under_way;
    }
  }
  auto microseconds = [&](double share) { return static_cast<double>(latencies.at(share).count()) / 1e3; };
  std::printf(R"({"operations_per_second": %.1f, "p50": %.1f, "p99": %.1f, "cpu_seconds": %.3f})"
              "\n",
              static_cast<double>(latencies.count()) / seconds, microseconds(0.5), microseconds(0.99),
              static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: etcd_driver HOST:PORT txn|pair|grant|grant-txn|keepalive CONNECTIONS SECONDS\n", stderr);
    return 64;
  }
  try {
    measure(argv[1], argv[2], std::atoi(argv[3]), std::atof(argv[4]));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "etcd_driver: %s\n", failure.what());
    return 1;
  }
  return 0;
}
