#include "store/etcd/lease/session.h"

#include <etcd.pb.h>

#include <boost/asio/post.hpp>

#include "store/etcd/lease/keepalive.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/watches.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::seconds kBetweenRenewals{2};
// A server that hears nothing from its watches must not keep its waiters' queue entries (R23).
constexpr std::chrono::seconds kMustHaveHeard{5};

}  // namespace

EtcdSession::EtcdSession(EtcdClient& client, EtcdKeepalive& keepalive, EtcdWatches& watches, Clock& clock,
                         Executor executor, TaskGroup& tasks)
    : client_(client),
      keepalive_(keepalive),
      watches_(watches),
      clock_(clock),
      executor_(executor),
      granting_(clock),
      wake_(executor) {
  tasks.spawn(executor, renew_for_ever());
}

Task<Result<LeaseId>> EtcdSession::lease(Deadline deadline) {
  LeaseId present = id_;
  if (present != LeaseId{0}) co_return present;
  auto work = [this, deadline] { return grant(deadline); };
  auto granted = co_await granting_.join(work, deadline);
  co_return granted ? *std::move(granted) : client_.unreachable();
}

// Single-flight. If another run has ended since the caller looked, its lease is found here and reused.
Task<Result<LeaseId>> EtcdSession::grant(Deadline deadline) {
  LeaseId present = id_;
  if (present != LeaseId{0}) co_return present;
  LeaseId id = random_shared_lease_id();
  pb::LeaseGrantRequest request;
  request.set_id(number_of(id));
  request.set_ttl(kTtl.count());
  auto granted = co_await client_.grant(std::move(request), deadline);
  bool ours = granted.result || (granted.result.error().code == Errc::lease_in_use && granted.unanswered);
  if (!ours) co_return Error{Errc::unavailable, granted.result.error().message};
  id_ = id;
  co_return id;
}

void EtcdSession::lost(LeaseId id) {
  id_.compare_exchange_strong(id, LeaseId{0});
}

Task<void> EtcdSession::end(Deadline deadline) {
  LeaseId id = id_.exchange(LeaseId{0});
  if (id == LeaseId{0}) co_return;
  pb::LeaseTimeToLiveRequest question;
  question.set_id(number_of(id));
  question.set_keys(true);
  auto session = co_await client_.time_to_live(std::move(question), deadline);
  if (!session.result || session.result->keys_size() > 0) co_return;
  pb::LeaseRevokeRequest request;
  request.set_id(number_of(id));
  co_await client_.revoke(std::move(request), deadline);
}

Task<void> EtcdSession::renew_for_ever() {
  while (!stopping_) {
    co_await wake_.wait(kBetweenRenewals);
    LeaseId id = id_;
    if (stopping_ || id == LeaseId{0} || !watches_.all_heard_within(kMustHaveHeard)) continue;
    Deadline deadline{clock_.boot_now() + kBetweenRenewals};
    auto renewed = co_await keepalive_.renew(id, deadline);
    if (renewed && renewed->ttl == Ttl{0}) lost(id);
  }
}

void EtcdSession::stop() {
  asio::post(executor_, [this] {
    stopping_ = true;
    wake_.raise();
  });
}

}  // namespace sharedlock
