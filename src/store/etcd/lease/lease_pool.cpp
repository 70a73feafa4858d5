#include "store/etcd/lease/lease_pool.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "store/etcd/lease/leases.h"

namespace sharedlock {

namespace {

// For a grant that no request waits for yet.
constexpr std::chrono::seconds kLongestAhead{1};

}  // namespace

Task<Result<EtcdLeasePool::Joined>> EtcdLeasePool::join(BootTime end, Deadline deadline, std::size_t entries) {
  auto executor = co_await asio::this_coro::executor;
  std::optional<Error> last;
  do {
    Taken taken = take(end, entries, executor, deadline);
    const PooledLeases::Place& place = taken.place;
    const WaiterPtr& waiter = taken.waiter;
    Joined joined{place.id, place.sent};
    for (const Order& order : place.ahead) ahead_.spawn(executor_, grant_ahead(order));
    if (place.order) {
      auto granted = co_await grant(*place.order, deadline);
      if (granted) co_return joined;
      if (granted.error().code != Errc::lease_in_use) co_return granted.error();
      continue;  // among 2^39 ids, one in use may be hit now and then
    }
    if (!waiter) co_return joined;
    co_await waiter->wait(clock_);
    waiter->waited();
    leave(place.id, waiter);
    if (!waiter->answer) break;
    if (*waiter->answer) co_return joined;
    // The other request may have had too little time; this one may have enough.
    last = waiter->answer->error();
    if (!outcome_unknown(last->code) && last->code != Errc::lease_in_use) break;
  } while (clock_.boot_now() < deadline.at);
  co_return last ? *std::move(last) : Error{Errc::deadline_exceeded, "etcd granted no lease in time"};
}

EtcdLeasePool::Taken EtcdLeasePool::take(BootTime end, std::size_t entries, const Executor& executor,
                                         Deadline deadline) {
  Moment now{clock_.boot_now(), clock_.wall_now()};
  std::scoped_lock lock(mutex_);
  Taken taken{.place = pool_.join(end, now, entries), .waiter = nullptr};
  if (!taken.place.granted && !taken.place.order) {
    taken.waiter = std::make_shared<Waiter>(executor, deadline);
    waiting_[taken.place.id].push_back(taken.waiter);
  }
  return taken;
}

// After this, end() no longer touches the waiter.
void EtcdLeasePool::leave(LeaseId id, const WaiterPtr& waiter) {
  std::scoped_lock lock(mutex_);
  auto those = waiting_.find(id);
  if (those == waiting_.end()) return;
  std::erase(those->second, waiter);
  if (those->second.empty()) waiting_.erase(those);
}

Task<Result<void>> EtcdLeasePool::grant(Order order, Deadline deadline) {
  auto granted = co_await leases_.grant_pooled(order.id, order.ttl, deadline);
  if (granted && *granted < order.ttl) granted = Error{Errc::unavailable, "etcd granted less than it was asked for"};
  end(order.id, granted);
  if (!granted) co_return granted.error();
  co_return Result<void>();
}

Task<void> EtcdLeasePool::grant_ahead(Order order) {
  Deadline deadline{clock_.boot_now() + kLongestAhead};
  co_await grant(order, deadline);
}

void EtcdLeasePool::end(LeaseId id, const Result<Ttl>& granted) {
  std::scoped_lock lock(mutex_);
  if (granted) {
    pool_.granted(id, *granted);
  } else {
    pool_.drop(id);
  }
  auto those = waiting_.extract(id);
  if (those.empty()) return;
  for (const WaiterPtr& waiter : those.mapped()) {
    waiter->answer = granted ? Result<void>() : Result<void>(granted.error());
    post_wake(waiter);
  }
}

void EtcdLeasePool::drop(LeaseId id) {
  std::scoped_lock lock(mutex_);
  pool_.drop(id);
}

void EtcdLeasePool::drop_sent_before(BootTime moment) {
  std::scoped_lock lock(mutex_);
  pool_.drop_sent_before(moment);
}

}  // namespace sharedlock
