#include "store/etcd_epoch.h"

#include <etcd.pb.h>

#include <utility>

#include "base/random.h"
#include "store/etcd_client.h"
#include "store/etcd_lease_pool.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr const char* kPrefix = "/shared-lock.meta/epochs/";

// What a server that died leaves behind goes by itself.
constexpr std::chrono::minutes kKeyLives{60};
constexpr std::chrono::minutes kLongest{30};

}  // namespace

EtcdEpoch::EtcdEpoch(EtcdClient& client, EtcdLeasePool& pool, Clock& clock)
    : client_(client), pool_(pool), clock_(clock), key_(kPrefix + random_uuid()), beginning_(clock) {}

Revision EtcdEpoch::present() const {
  return clock_.boot_now() < ends_.load() ? epoch_.load() : kAbsent;
}

Task<Result<Revision>> EtcdEpoch::current(Deadline deadline) {
  Revision epoch = present();
  if (epoch != kAbsent) co_return epoch;
  auto work = [this, deadline] { return begin(deadline); };
  auto begun = co_await beginning_.join(work, deadline);
  co_return begun ? *std::move(begun) : client_.unreachable();
}

// One at a time; who began before another had ended finds that one's.
Task<Result<Revision>> EtcdEpoch::begin(Deadline deadline) {
  Revision epoch = present();
  if (epoch != kAbsent) co_return epoch;
  BootTime now = clock_.boot_now();
  auto lease = co_await pool_.join(now + kKeyLives, deadline);
  if (!lease) co_return lease.error();
  pb::TxnRequest request;
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(key_);
  put.set_lease(number_of(*lease));
  auto written = co_await client_.txn(std::move(request), /*repeatable=*/true, deadline);
  if (!written.result) {
    if (written.result.error().code == Errc::lease_not_found) pool_.drop(*lease);
    co_return Error{Errc::unavailable, written.result.error().message};
  }
  epoch = Revision{written.result->header().revision()};
  ends_ = now + kLongest;
  epoch_ = epoch;
  co_return epoch;
}

void EtcdEpoch::end(Revision epoch) {
  epoch_.compare_exchange_strong(epoch, kAbsent);
}

}  // namespace sharedlock
