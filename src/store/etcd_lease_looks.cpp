#include "store/etcd_lease_looks.h"

#include <etcd.pb.h>

#include <algorithm>

#include "store/etcd_client.h"

namespace sharedlock {

namespace {

// How often what does not count is asked for again.
constexpr int kTries = 3;

}  // namespace

// Without keys: else etcd would look whether we may read each of them.
Task<void> look_at_lease(EtcdClient& client, EtcdLeaseLook* look, Deadline deadline) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(number_of(look->id));
  Clock& clock = client.clock();
  BootTime sent = clock.boot_now();
  auto answer = co_await client.time_to_live(std::move(request), deadline);
  BootTime answered = clock.boot_now();
  look->failed.reset();
  look->life.reset();
  look->term = 0;
  if (!answer.result) {
    look->failed = answer.result.error();
    co_return;
  }
  if (answer.in_one_term) look->term = answer.result->header().raft_term();
  std::int64_t granted = answer.result->grantedttl();
  if (granted <= 0) co_return;
  // Rounded down, and below zero once it has expired.
  Ttl left(std::clamp<std::int64_t>(answer.result->ttl(), 0, granted));
  look->life = LeaseLife{saturating_add(sent, left), saturating_add(answered, left + Ttl{1})};
}

Task<void> look_again(EtcdClient& client, EtcdLeaseLooks* looks, std::uint64_t quorums_term, Deadline deadline) {
  for (EtcdLeaseLook& look : *looks) {
    for (int tries = 0; tries < kTries && !look.counts_in(quorums_term); ++tries) {
      if (client.clock().boot_now() >= deadline.at) co_return;
      co_await look_at_lease(client, &look, deadline);
    }
  }
}

}  // namespace sharedlock
