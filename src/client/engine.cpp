#include "client/engine.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "base/random.h"

namespace sharedlock::client {

namespace {

// The longest that a server lets anybody wait.
constexpr std::chrono::seconds kLongestWait{3600};

TimePoint after(TimePoint from, std::chrono::seconds span) {
  auto most = std::chrono::floor<std::chrono::seconds>(TimePoint::max() - from);
  return span > most ? TimePoint::max() : from + span;
}

Url url_of(const ClientOptions& options) {
  auto url = parse_url(options.url());
  if (!url) throw Failure(url.error());
  return *std::move(url);
}

}  // namespace

Engine::Engine(const ClientOptions& options)
    : options_(options),
      threads_(1),
      alarms_(threads_.executor(0)),
      http_(threads_.executor(0), alarms_, options_, url_of(options)),
      calls_(http_, options_.admin_token()) {
  tasks_.spawn(executor(), alarms_.run());
}

Engine::~Engine() {
  if (executor().running_in_this_thread()) {
    std::fprintf(stderr, "shared-lock: the last lock or lease of a closed client was destroyed in a callback\n");
    std::abort();
  }
  closing_ = true;
  stop_acquiring();
  asio::post(executor(), [this] { alarms_.stop(); });
  tasks_.join();
  threads_.stop();
}

void Engine::stop_acquiring() {
  acquiring_stopped_ = true;
  asio::post(executor(), [this] { http_.stop_acquiring(); });
}

void Engine::refuse_own_thread() {
  if (executor().running_in_this_thread()) throw std::logic_error("shared-lock: a blocking call in a callback");
}

Task<void> Engine::pause(Backoff* backoff) {
  Signal never(executor());
  co_await never.wait(backoff->next(random_bits()));
}

Task<Result<Grant>> Engine::acquire(Names names, std::chrono::seconds duration, Wait wait) {
  Taking<Grant> taking;
  taking.attempt = [this, names, duration](std::chrono::seconds longest, TimePoint until) {
    return calls_.acquire(names, duration, longest, until);
  };
  taking.confirm = [this, names, duration](TimePoint until) { return calls_.renew(names, duration, until); };
  taking.upkeep = upkeep_of(names, duration);
  co_return co_await take(std::move(taking), wait);
}

Task<Result<LeaseGrant>> Engine::grant(Calls::LeaseRequest request, Wait wait) {
  Taking<LeaseGrant> taking;
  taking.attempt = [this, request](std::chrono::seconds longest, TimePoint until) {
    return calls_.grant(request, longest, until);
  };
  taking.confirm = [this, id = request.id](TimePoint until) { return calls_.keep_alive(id, until); };
  taking.upkeep = upkeep_of(request.id, request.ttl);
  co_return co_await take(std::move(taking), wait);
}

template <class G>
Task<Result<G>> Engine::take(Taking<G> taking, Wait wait) {
  TimePoint wait_until = after(BootClock::now(), std::max(wait, Wait(0)));
  bool open = false;  // whether something may have been taken that nobody knows of
  auto taken = co_await take_once(&taking, wait_until, &open);
  if (!taken && open) tasks_.spawn(executor(), give_back(taking.upkeep));
  co_return taken;
}

template <class G>
Task<Result<G>> Engine::take_once(const Taking<G>* taking, TimePoint wait_until, bool* open) {
  Backoff backoff;
  std::optional<TimePoint> silent_since;
  for (;;) {
    TimePoint begun = BootClock::now();
    auto left = wait_until == TimePoint::max() ? kLongestWait : std::chrono::ceil<Wait>(wait_until - begun);
    auto longest = std::clamp<Wait>(left, Wait(0), kLongestWait);
    auto taken = co_await taking->attempt(longest, begun + longest + options_.attempt_timeout());
    TimePoint now = BootClock::now();
    bool unanswered = !taken && taken.error().code == Errc::unavailable;
    if (unanswered) {
      *open = true;
      if (longest == Wait(0) && !silent_since) silent_since = begun;
      if (!silent_since) silent_since = now;  // until then it may have waited
      if (acquiring_stopped_ || now - *silent_since >= options_.request_timeout()) co_return taken;
    } else if (!taken) {
      bool again = taken.error().code == Errc::held_by_another && now < wait_until;
      if (!again) co_return taken;
      silent_since.reset();
    } else if (counts_at_once(taken->sent, taken->ttl, now)) {
      co_return taken;
    } else {
      // R7: the answer took so long that it says too little.
      *open = true;
      auto confirmed = co_await taking->confirm(now + options_.attempt_timeout());
      if (confirmed) {
        taken->ttl = confirmed->ttl;
        taken->sent = confirmed->sent;
        co_return taken;
      }
      if (confirmed.error().code == Errc::refused) co_return confirmed;
    }
    co_await pause(&backoff);
  }
}

// Nobody else knows its instance or id; so it is tried as long as it could last, and the library lives.
Task<void> Engine::give_back(Upkeep upkeep) {
  Backoff backoff;
  TimePoint give_up = BootClock::now() + upkeep.ttl;
  for (;;) {
    auto released = co_await upkeep.release(BootClock::now() + options_.attempt_timeout());
    bool unanswered = !released && released.error().code == Errc::unavailable;
    if (!unanswered || closing_ || BootClock::now() >= give_up) co_return;
    co_await pause(&backoff);
  }
}

Upkeep Engine::upkeep_of(const Names& names, std::chrono::seconds ttl) {
  return {.renew = [this, names, ttl](TimePoint until) { return renew_lock(names, ttl, until); },
          .release = [this, names](TimePoint until) { return calls_.release(names, until); },
          .ttl = ttl,
          .attempt_timeout = options_.attempt_timeout(),
          .release_timeout = options_.request_timeout()};
}

Upkeep Engine::upkeep_of(std::int64_t lease, std::chrono::seconds ttl) {
  return {.renew = [this, lease](TimePoint until) { return renew_lease(lease, until); },
          .release = [this, lease](TimePoint until) { return calls_.release_lease(lease, until); },
          .ttl = ttl,
          .attempt_timeout = options_.attempt_timeout(),
          .release_timeout = options_.request_timeout()};
}

Task<Result<Renewal>> Engine::renew_lock(Names names, std::chrono::seconds duration, TimePoint until) {
  auto grant = co_await calls_.renew(std::move(names), duration, until);
  if (!grant) co_return grant.error();
  Renewal renewal{.ttl = grant->ttl, .sent = grant->sent};
  co_return renewal;
}

Task<Result<Renewal>> Engine::renew_lease(std::int64_t id, TimePoint until) {
  auto grant = co_await calls_.keep_alive(id, until);
  if (!grant) co_return grant.error();
  Renewal renewal{.ttl = grant->ttl, .sent = grant->sent};
  co_return renewal;
}

}  // namespace sharedlock::client
