#include "client/keeper.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "base/random.h"

namespace sharedlock::client {

Keeper::Keeper(const Executor& executor, Alarms& alarms, Upkeep upkeep, Renewal first)
    : executor_(executor), alarms_(alarms), upkeep_(std::move(upkeep)), wake_(executor) {
  renew_at_ = renewal_due(first.sent, first.ttl, random_bits());
  set_safe_until(client::safe_until(first.sent, first.ttl));
}

Task<void> Keeper::keep(std::shared_ptr<Keeper> keeper) {
  Keeper& self = *keeper;
  while (!self.ending_ && !self.over_) {
    self.alarms_.set(self, std::min(self.renew_at_, self.safe_until()));
    co_await self.wake_.wait();
    bool due = !self.ending_ && !self.over_ && BootClock::now() >= self.renew_at_;
    if (due) co_await self.renew();
  }
  self.alarms_.clear(self);
  self.release_answer_ = co_await self.release();
  if (self.over_) self.release_answer_ = Error{Errc::lost, "it was lost before it was released"};
  self.be_over(false);
  self.released_ = true;
  for (auto& done : std::exchange(self.release_done_, {})) done(self.release_answer_);
}

// Whatever the attempt's outcome, the alarm reports the loss in time.
Task<void> Keeper::renew() {
  alarms_.set(*this, safe_until());
  TimePoint sent = BootClock::now();
  auto renewal = co_await upkeep_.renew(sent + upkeep_.attempt_timeout);
  if (over_) co_return;
  if (renewal) {
    set_safe_until(client::safe_until(renewal->sent, renewal->ttl));
    renew_at_ = renewal_due(renewal->sent, renewal->ttl, random_bits());
    backoff_ = Backoff();
  } else if (renewal.error().code == Errc::lost) {
    gone_ = true;
    be_over(true);
  } else {
    set_safe_until(safe_after_unknown(safe_until(), sent, upkeep_.ttl));
    renew_at_ = BootClock::now() + backoff_.next(random_bits());
  }
}

Task<Result<void>> Keeper::release() {
  if (gone_) co_return Error{Errc::lost, "it is not held any more"};
  auto released = co_await upkeep_.release();
  bool of_another = !released && released.error().code == Errc::held_by_another;
  if (of_another) co_return Error{Errc::lost, "another holds it"};
  co_return released;
}

void Keeper::on_alarm() {
  if (BootClock::now() >= safe_until()) be_over(true);
  wake_.raise();
}

void Keeper::be_over(bool lost) {
  std::vector<Told> told;
  {
    std::scoped_lock lock(mutex_);
    if (lost_) return;
    lost_ = lost;
    over_ = true;
    told = std::exchange(told_, {});
  }
  if (lost) stop_.request_stop();
  for (auto& tell : told) tell(lost);
}

void Keeper::when_over(std::function<void(bool lost)> done) {
  bool lost = false;
  {
    std::scoped_lock lock(mutex_);
    if (!lost_) {
      told_.push_back(std::move(done));
      return;
    }
    lost = *lost_;
  }
  asio::post(executor_, [done = std::move(done), lost] { done(lost); });
}

void Keeper::end(const std::shared_ptr<Keeper>& keeper, std::function<void(Result<void>)> done) {
  keeper->given_up_ = true;
  asio::post(keeper->executor_, [keeper, done = std::move(done)] {
    keeper->ending_ = true;
    keeper->wake_.raise();
    if (!done) return;
    if (keeper->released_) {
      done(keeper->release_answer_);
    } else {
      keeper->release_done_.push_back(done);
    }
  });
}

}  // namespace sharedlock::client
