#include "client/engine.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "base/go_duration.h"
#include "base/random.h"
#include "client/polls.h"

namespace sharedlock::client {

namespace {

// At the end, what is given up is given back within this time, or left to its ttl.
constexpr std::chrono::seconds kGiveBack{2};

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
  alarms_task_.spawn(executor(), alarms_.run());
}

Engine::~Engine() {
  if (executor().running_in_this_thread()) {
    std::fprintf(stderr, "shared-lock: the last lock or lease of a closed client was destroyed in a callback\n");
    std::abort();
  }
  stop_acquiring();
  asio::post(executor(), [this] {
    closed_by_ = BootClock::now() + kGiveBack;
    http_.end_by(closed_by_);
  });
  tasks_.join();
  asio::post(executor(), [this] { http_.stop(); });
  http_.join();
  // Last: all limits are alarms.
  asio::post(executor(), [this] { alarms_.stop(); });
  alarms_task_.join();
  threads_.stop();
}

void Engine::stop_acquiring() {
  acquiring_stopped_ = true;
  asio::post(executor(), [this] { http_.stop_acquiring(); });
}

void Engine::refuse_own_thread() {
  if (executor().running_in_this_thread()) throw std::logic_error("shared-lock: a blocking call in a callback");
}

Task<void> Engine::pause(Backoff* backoff, TimePoint no_later) {
  AsyncEvent never(executor());
  auto left = std::chrono::ceil<std::chrono::milliseconds>(no_later - BootClock::now());
  co_await never.wait(std::clamp(left, std::chrono::milliseconds(0), backoff->next(random_bits())));
}

Task<Result<Grant>> Engine::acquire(Names names, std::chrono::seconds duration, Wait wait, GiveBack give_back) {
  Taking<Grant> taking;
  taking.attempt = [this, names, duration](InLine line, TimePoint until, Asked* asked) {
    return calls_.acquire(names, duration, line, until, asked);
  };
  taking.confirm = [this, names, duration](TimePoint until) {
    return calls_.renew(names, duration, until, Purpose::acquiring);
  };
  taking.release = [this, names](TimePoint until) { return calls_.release(names, until); };
  taking.ttl = duration;
  co_return co_await take(std::move(taking), wait, give_back);
}

Task<Result<LeaseGrant>> Engine::grant(Calls::LeaseRequest request, Wait wait, GiveBack give_back) {
  Taking<LeaseGrant> taking;
  taking.attempt = [this, request](InLine line, TimePoint until, Asked* asked) {
    return calls_.grant(request, line, until, asked);
  };
  taking.confirm = [this, id = request.id](TimePoint until) {
    return calls_.keep_alive(id, until, Purpose::acquiring);
  };
  taking.release = [this, id = request.id](TimePoint until) { return calls_.release_lease(id, until); };
  taking.ttl = request.ttl;
  co_return co_await take(std::move(taking), wait, give_back);
}

template <class G>
Task<Result<G>> Engine::take(Taking<G> taking, Wait wait, GiveBack how) {
  bool open = false;  // whether a grant may exist that nobody knows of
  auto taken = co_await take_once(&taking, wait, &open);
  if (taken || !open) co_return taken;
  if (how == GiveBack::in_background) {
    tasks_.spawn(executor(), give_back(taking.release, taking.ttl));
    co_return taken;
  }
  TimePoint end = BootClock::now() + kGiveBack;
  Times times{.last_try = end, .end = end};
  auto released = co_await repeat<void>(taking.release, times);
  bool unanswered = !released && released.error().code == Errc::unavailable;
  if (!unanswered) co_return taken;
  std::string text = taken.error().message +
                     "; what it may have taken all the same could not be given back, and ends by itself within " +
                     to_go_duration(taking.ttl);
  co_return Error{taken.error().code, std::move(text)};
}

template <class G>
Task<Result<G>> Engine::take_once(const Taking<G>* taking, Wait wait, bool* open) {
  Polls::Limits limits{.wait = wait, .poll = options_.poll(), .patience = options_.patience()};
  Polls polls(BootClock::now(), limits);
  std::chrono::seconds keep_place = options_.keep_place();
  Backoff backoff;
  for (;;) {
    Polls::End end{.asked = polls.next(BootClock::now()), .begun = BootClock::now()};
    InLine line{.wait = end.asked, .keep_place = std::min(keep_place, polls.place_kept(end.begun))};
    auto connecting = end.asked.count() > 0 ? options_.connect_timeout() : std::chrono::milliseconds(0);
    Asked asked;
    auto taken =
        co_await taking->attempt(line, end.begun + connecting + end.asked + options_.attempt_timeout(), &asked);
    if (taken) {
      auto sure = co_await confirmed(taking, *taken);
      if (sure || sure.error().code == Errc::refused) co_return sure;
      *open = true;
      co_await pause(&backoff);
      continue;
    }
    if (asked.knows_no_places) {
      keep_place = std::chrono::seconds(0);
      continue;
    }
    Polls::Next next = Polls::Next::over;
    if (taken.error().code == Errc::held_by_another) {
      next = polls.refused(asked.sent.value_or(end.begun), BootClock::now());
    } else if (taken.error().code == Errc::unavailable) {
      if (asked.sent) *open = true;
      end.sent = asked.sent;
      end.cut = asked.cut;
      end.later = asked.later;
      next = acquiring_stopped_ ? Polls::Next::over : polls.unanswered(end, BootClock::now());
    }
    if (next == Polls::Next::over) co_return taken;
    if (next == Polls::Next::at_once) backoff = Backoff();
    co_await pause(&backoff);
  }
}

// R7: a grant with an answer this late promises too little, until the holding is renewed once.
template <class G>
Task<Result<G>> Engine::confirmed(const Taking<G>* taking, G grant) {
  TimePoint now = BootClock::now();
  if (counts_at_once(grant.sent, grant.ttl, now)) co_return grant;
  auto renewed = co_await taking->confirm(now + options_.attempt_timeout());
  if (!renewed) co_return renewed.error();
  grant.ttl = renewed->ttl;
  grant.sent = renewed->sent;
  co_return grant;
}

// Only we know its instance or id; so it is tried as long as it could last, and the library lives.
Task<void> Engine::give_back(Once<void> release, std::chrono::seconds ttl) {
  Times times{.last_try = BootClock::now() + ttl};
  (void)co_await repeat<void>(std::move(release), times);
}

Upkeep Engine::upkeep_of(const Names& names, std::chrono::seconds ttl) {
  Once<void> release = [this, names](TimePoint until) { return calls_.release(names, until); };
  return {.renew = [this, names, ttl](TimePoint until) { return renew_lock(names, ttl, until); },
          .release = [this, release] { return give_up(release); },
          .ttl = ttl,
          .attempt_timeout = options_.attempt_timeout()};
}

Upkeep Engine::upkeep_of(std::int64_t lease, std::chrono::seconds ttl) {
  Once<void> release = [this, lease](TimePoint until) { return calls_.release_lease(lease, until); };
  return {.renew = [this, lease](TimePoint until) { return renew_lease(lease, until); },
          .release = [this, release] { return give_up(release); },
          .ttl = ttl,
          .attempt_timeout = options_.attempt_timeout()};
}

Task<Result<void>> Engine::give_up(Once<void> release) {
  Times times{.last_try = BootClock::now() + options_.request_timeout()};
  co_return co_await repeat<void>(std::move(release), times);
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
