// The part of LockService that waits in line.
#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "lock/decided.h"
#include "lock/lock_service.h"
#include "lock/token.h"

namespace sharedlock {

namespace {

// By then the lease of a record whose expiry has come should have ended.
constexpr std::chrono::seconds kAfterExpiry{1};

}  // namespace

Task<Result<LockAnswer>> LockService::acquire_in_line(AcquireRequest request) {
  BootTime until = saturating_add(request.received, request.wait);
  auto executor = co_await asio::this_coro::executor;
  std::vector<std::string> names;
  names.push_back(name_of(request.lock));
  auto waiter = lines_.enter(executor, std::move(names), request.holder.owner, request.holder.instance);
  if (request.when_hung_up) request.when_hung_up(waiter.hang_up());
  for (;;) {
    auto next = co_await lines_.next(waiter, until);
    if (!next) co_return next.error();
    if (*next == WaitLines::Next::time_up) {
      LockAnswer refused = refused_in_line(request, waiter);
      co_return refused;
    }
    if (auto end = WaitLines::end_of(*next)) {
      LockAnswer ended = *end;
      co_return ended;
    }
    auto granted = co_await take_turn(request, waiter, *next);
    if (!granted) co_return granted.error();
    if (!*granted) continue;
    LockAnswer grant = **std::move(granted);
    co_return grant;
  }
}

Task<Result<std::size_t>> LockService::count_waiters(LockName lock, BootTime received) {
  std::string line = part_of(name_of(lock)).line;
  auto places =
      co_await store_.list(std::move(line), "", std::numeric_limits<std::int32_t>::max(), deadline_for(received));
  if (!places) co_return places.error();
  co_return places->entries.size();
}

// One commit takes the lock and erases the place, so that exactly one of them and whoever else wants either comes
// about. Nothing: it is not free after all, and waiting goes on.
Task<Result<std::optional<LockGrant>>> LockService::take_turn(const AcquireRequest& request, WaitLines::Waiter& waiter,
                                                              WaitLines::Next turn) {
  using Places = LineBook::Places;
  BootTime begun = clock_.boot_now();
  Deadline deadline = deadline_for(begun);
  std::string name = name_of(request.lock);
  std::string key = key_of(request.lock);
  LineBook::Join join = lines_.places_of(waiter);
  std::string place = join.places.front();
  Places places = Places::there;
  Result<Found> found = Found{};
  if (turn != WaitLines::Next::take) found = co_await look_durably(key, deadline);
  for (int retries_left = options_.max_retries;; --retries_left) {
    if (!found) co_return found.error();
    auto seen = read(key, found->entry);
    if (!seen) co_return seen.error();
    Decision decision = decide_acquire(request, *seen, epoch_now());
    bool mine = *seen && (*seen)->record.holder == request.holder;
    bool first = places == Places::there && turn != WaitLines::Next::retake;
    bool may_take = is_write(decision) && (first || mine);
    if (!may_take || retries_left < 0) {
      lines_.saw(name, found->entry, found->as_of, look_again_at(*seen));
      lines_.tried(waiter, places);
      co_return std::nullopt;
    }
    Transaction transaction = transaction_for(key, decision, *seen);
    if (places == Places::there) {
      transaction.expect.push_back({place, join.expected});
      transaction.changes.emplace_back(Erase{place});
    }
    auto result = co_await store_.commit(std::move(transaction), deadline);
    if (!result && !outcome_unknown(result.error().code)) co_return result.error();
    Result<Found> stands = Found{};  // in its place
    if (!result) {
      found = co_await look_durably(key, deadline);
      stands = co_await store_.get(place, deadline);
      if (!found || !stands) co_return result.error();
    } else if (auto* committed = std::get_if<Committed>(&*result)) {
      lines_.finished(waiter, committed->revision);
      auto executor = co_await asio::this_coro::executor;
      if ((clock_.boot_now() - begun) * 2 > request.duration) {
        if (!mine) take_back(executor, request.lock, committed->revision);
        co_return Error{Errc::unavailable, "the grant took longer than half of its duration"};
      }
      auto& write = std::get<WriteRecord>(decision);
      FencingToken token = token_at(committed->revision, store_.token_base());
      co_return LockGrant{std::move(write.record), token, write.ttl, committed->revision, /*waited=*/true};
    } else {
      auto& conflict = std::get<Conflict>(*result);
      found = Found{std::move(conflict.current[0]), conflict.as_of};
      if (places != Places::there) continue;
      stands = Found{std::move(conflict.current[1]), conflict.as_of};
    }
    if (!stands->entry) places = Places::gone;
    if (stands->entry && stands->entry->revision != join.expected) places = Places::taken_over;
  }
}

Refused LockService::refused_in_line(const AcquireRequest& request, const WaitLines::Waiter& waiter) {
  Refused refused;
  refused.ahead = lines_.ahead_of(waiter);
  auto entry = lines_.holder_of(name_of(request.lock));
  auto lock = entry ? read_held_lock(*entry, store_.token_base()) : Error{Errc::corrupt, ""};
  if (lock) refused.holder = Refused::Obstacle{lock->record.holder.owner, lock->record.expiry};
  return refused;
}

// What a line has to know of a record: who holds the lock, and when that should end.
LockSight LockService::see(const Entry& entry) const {
  auto lock = read_held_lock(entry, store_.token_base());
  if (!lock) return {};
  auto left = std::max<std::chrono::nanoseconds>(lock->record.expiry - clock_.wall_now(), std::chrono::seconds(0));
  return {.holder = identity_of(lock->record.holder), .look_again = clock_.boot_now() + left + kAfterExpiry};
}

// A record with a lease will be gone by an event; one without may be taken over when it has stood there long enough.
std::optional<BootTime> LockService::look_again_at(const std::optional<HeldLock>& lock) const {
  if (!lock || !lock->leaseless_for) return std::nullopt;
  auto left = std::max<std::chrono::nanoseconds>(lock->record.duration - *lock->leaseless_for, kAfterExpiry);
  return clock_.boot_now() + left;
}

}  // namespace sharedlock
