#include <algorithm>
#include <chrono>
#include <utility>

#include "base/io_threads.h"
#include "base/task_group.h"
#include "store/etcd/etcd_store.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/witness/guard_grpc.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

// Higher than all before it, including those that etcd has forgotten.
std::int64_t next_generation(std::int64_t present, Clock& clock) {
  auto now = std::chrono::duration_cast<std::chrono::microseconds>(clock.wall_now().time_since_epoch());
  return std::max<std::int64_t>(present + 1, now.count());
}

struct Operator {
  Operator(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& of, Log& log)
      : clock(of),
        witness(options.key_prefix, options.largest_ttl),
        connections(std::move(options), std::move(endpoints), of, log),
        client(connections, witness) {}

  Task<void> accept() {
    Deadline deadline{clock.boot_now() + connections.options().request_timeout};
    auto shown = co_await client.txn(ask_for_all(/*logged=*/true), /*repeatable=*/true, deadline, EtcdTxn::logged);
    if (!shown.result) {
      result = shown.result.error();
      co_return;
    }
    EtcdFoundAll all = read_all(*shown.result, witness);
    pb::TxnRequest request;
    expect_revision(request, kGenerationKey, all.generation_at);
    pb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(std::string(kGenerationKey));
    put.set_value(std::to_string(next_generation(all.found.generation, clock)));
    request.add_success()->mutable_request_delete_range()->set_key(std::string(kLostKey));
    auto accepted = co_await client.txn(std::move(request), /*repeatable=*/true, deadline, EtcdTxn::logged);
    if (!accepted.result) {
      result = accepted.result.error();
    } else if (!accepted.result->succeeded() && !accepted.unanswered) {
      result = Error{Errc::unavailable, "somebody else has accepted it in the same moment; see what the servers say"};
    } else {
      result = std::move(all.found.mark);
    }
  }

  Clock& clock;
  EtcdWitness witness;
  EtcdConnections connections;
  EtcdClient client;
  Result<std::optional<std::string>> result;
};

}  // namespace

Result<std::optional<std::string>> accept_etcd_loss(EtcdOptions options, Clock& clock, Log& log) {
  auto endpoints = parse_etcd_endpoints(options.endpoints, options.tls.has_value());
  if (!endpoints) return endpoints.error();
  Operator person(std::move(options), *std::move(endpoints), clock, log);
  IoThreads threads(1);
  TaskGroup tasks;
  tasks.spawn(threads.executor(0), person.accept());
  tasks.join();
  return std::move(person.result);
}

}  // namespace sharedlock
