#include "sharedlock/client.h"

#include <utility>

#include "base/environment.h"
#include "client/engine.h"
#include "client/holding.h"
#include "sharedlock/operations.h"

namespace sharedlock::client {

class Client::Impl {
 public:
  explicit Impl(const ClientOptions& options) : engine(std::make_shared<Engine>(options)) {}

  Task<void> take_lock(Names names, LockOptions options, std::function<void(Result<Lock>)> done) {
    auto grant = co_await engine->acquire(names, options.ttl(), options.wait(), kInBackground);
    if (!grant) {
      done(grant.error());
      co_return;
    }
    Renewal first{.ttl = grant->ttl, .sent = grant->sent};
    auto state = keep(engine->upkeep_of(names, options.ttl()), first);
    state->namespace_name = names.namespace_name;
    state->names = names.names;
    state->tokens = std::move(grant->tokens);
    done(Lock(std::move(state)));
  }

  Task<void> take_lease(Calls::LeaseRequest request, Wait wait, std::function<void(Result<Lease>)> done) {
    auto grant = co_await engine->grant(request, wait, kInBackground);
    if (!grant) {
      done(grant.error());
      co_return;
    }
    Renewal first{.ttl = grant->ttl, .sent = grant->sent};
    auto state = keep(engine->upkeep_of(request.id, request.ttl), first);
    state->tokens.push_back(grant->token);
    state->lease = grant->id;
    done(Lease(std::move(state)));
  }

  static constexpr auto kInBackground = Engine::GiveBack::in_background;

  const std::shared_ptr<Engine> engine;
  // Joined before the client lets go of the engine: then the tasks' results are never the last to hold it.
  TaskGroup acquiring;

 private:
  std::shared_ptr<Holding::State> keep(Upkeep upkeep, Renewal first) const {
    auto keeper = std::make_shared<Keeper>(engine->executor(), engine->alarms(), std::move(upkeep), first);
    engine->spawn(Keeper::keep(keeper));
    return std::make_shared<Holding::State>(engine, std::move(keeper));
  }
};

namespace {

// Makes a blocking call of an asynchronous one.
template <class T, class Start>
Result<T> wait_for(Engine& engine, Start start) {
  engine.refuse_own_thread();
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto answer = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return answer.get();
}

}  // namespace

Client::Client(const ClientOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Client::~Client() {
  engine().stop_acquiring();
  impl_->acquiring.join();
}

void Client::stop_acquiring() {
  engine().stop_acquiring();
}

void Client::acquire_then(const std::string& name, const LockOptions& options, std::function<void(Result<Lock>)> done) {
  acquire_all_then({name}, options, std::move(done));
}

void Client::acquire_all_then(const std::vector<std::string>& names, const LockOptions& options,
                              std::function<void(Result<Lock>)> done) {
  Names all{.namespace_name = options.namespace_name(), .names = names, .instance = random_instance()};
  impl_->acquiring.spawn(engine().executor(), impl_->take_lock(std::move(all), options, std::move(done)));
}

void Client::lease_then(const std::string& key, const LeaseOptions& options, std::function<void(Result<Lease>)> done) {
  Calls::LeaseRequest request{.key = key, .value = options.value(), .ttl = options.ttl(), .id = random_lease_id()};
  impl_->acquiring.spawn(engine().executor(), impl_->take_lease(std::move(request), options.wait(), std::move(done)));
}

Result<Lock> Client::acquire(const std::string& name, const LockOptions& options) {
  return acquire_all({name}, options);
}

Result<Lock> Client::acquire_all(const std::vector<std::string>& names, const LockOptions& options) {
  return wait_for<Lock>(engine(), [&](auto done) { acquire_all_then(names, options, std::move(done)); });
}

Result<Lease> Client::lease(const std::string& key, const LeaseOptions& options) {
  return wait_for<Lease>(engine(), [&](auto done) { lease_then(key, options, std::move(done)); });
}

Engine& Client::engine() const {
  return *impl_->engine;
}

ScopedLock::ScopedLock(Client& client, const std::string& name, LockOptions options)
    : lock_(client.acquire(name, options).value()) {}

ClientOptions::ClientOptions(std::string url) : url_(std::move(url)) {}
ClientOptions& ClientOptions::ca_file(std::string path) {
  ca_file_ = std::move(path);
  return *this;
}
ClientOptions& ClientOptions::token(std::function<std::string()> provider) {
  token_ = std::move(provider);
  return *this;
}
ClientOptions& ClientOptions::admin_token(std::string secret) {
  admin_token_ = trimmed(secret);
  return *this;
}
ClientOptions& ClientOptions::attempt_timeout(std::chrono::milliseconds span) {
  attempt_timeout_ = span;
  return *this;
}
ClientOptions& ClientOptions::request_timeout(std::chrono::milliseconds span) {
  request_timeout_ = span;
  return *this;
}
ClientOptions& ClientOptions::connect_timeout(std::chrono::milliseconds span) {
  connect_timeout_ = span;
  return *this;
}
ClientOptions& ClientOptions::poll(std::chrono::seconds longest) {
  poll_ = longest;
  return *this;
}
ClientOptions& ClientOptions::keep_place(std::chrono::seconds span) {
  keep_place_ = span;
  return *this;
}
ClientOptions& ClientOptions::patience(std::chrono::milliseconds span) {
  patience_ = span;
  return *this;
}

}  // namespace sharedlock::client
