#include "sharedlock/operations.h"

#include <utility>

#include "base/random.h"
#include "client/engine.h"

namespace sharedlock::client {

namespace {

// One request with its repeats, in the terms of Calls. `longest`, if not 0, limits them all.
template <class T, class Attempt>
Result<T> repeat(Engine& engine, Attempt attempt, std::chrono::milliseconds longest = std::chrono::milliseconds(0)) {
  Engine::Once<T> once = [&engine, attempt](TimePoint until) { return attempt(engine.calls(), until); };
  TimePoint now = BootClock::now();
  Engine::Times times{.last_try = now + engine.options().request_timeout()};
  if (longest.count() > 0) times.last_try = times.end = now + longest;
  return engine.run(engine.repeat<T>(std::move(once), times));
}

TimePoint end_of_one_try(Engine& engine) {
  return BootClock::now() + engine.options().attempt_timeout();
}

}  // namespace

std::string random_instance() {
  std::string instance;
  for (int half = 0; half < 2; ++half) {
    RandomHex digits = random_hex();
    instance.append(digits.data(), digits.size());
  }
  return instance;
}

Result<Grant> Operations::acquire(const Names& names, std::chrono::seconds duration, Wait wait) const {
  Engine& engine = client_->engine();
  return engine.run(engine.acquire(names, duration, wait, Engine::GiveBack::at_once));
}

Result<Grant> Operations::renew(const Names& names, std::chrono::seconds duration) const {
  Engine& engine = client_->engine();
  return engine.run(engine.calls().renew(names, duration, end_of_one_try(engine)));
}

Result<void> Operations::release(const Names& names, std::chrono::milliseconds longest) const {
  auto once = [&](Calls& calls, TimePoint until) { return calls.release(names, until); };
  return repeat<void>(client_->engine(), once, longest);
}

Result<LockState> Operations::get(const std::string& namespace_name, const std::string& name) const {
  auto once = [&](Calls& calls, TimePoint until) { return calls.get(namespace_name, name, until); };
  return repeat<LockState>(client_->engine(), once);
}

Result<Verdict> Operations::verify(const std::string& namespace_name, const std::string& name,
                                   std::int64_t token) const {
  auto once = [&](Calls& calls, TimePoint until) { return calls.verify(namespace_name, name, token, until); };
  return repeat<Verdict>(client_->engine(), once);
}

Result<void> Operations::force_release(const std::string& namespace_name, const std::string& name,
                                       const std::string& reason) const {
  auto once = [&](Calls& calls, TimePoint until) { return calls.force_release(namespace_name, name, reason, until); };
  return repeat<void>(client_->engine(), once);
}

Result<LeaseGrant> Operations::grant(const std::string& key, const std::string& value, std::chrono::seconds ttl,
                                     Wait wait) const {
  Engine& engine = client_->engine();
  Calls::LeaseRequest request{.key = key, .value = value, .ttl = ttl, .id = random_lease_id()};
  return engine.run(engine.grant(std::move(request), wait, Engine::GiveBack::at_once));
}

Result<LeaseGrant> Operations::keep_alive(std::int64_t id) const {
  Engine& engine = client_->engine();
  return engine.run(engine.calls().keep_alive(id, end_of_one_try(engine)));
}

Result<void> Operations::release_lease(std::int64_t id) const {
  auto once = [id](Calls& calls, TimePoint until) { return calls.release_lease(id, until); };
  return repeat<void>(client_->engine(), once);
}

Result<LeaseState> Operations::get_lease(const std::string& key) const {
  auto once = [&](Calls& calls, TimePoint until) { return calls.get_lease(key, until); };
  return repeat<LeaseState>(client_->engine(), once);
}

}  // namespace sharedlock::client
