#include "history/load_client.h"

#include <boost/json.hpp>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace sharedlock::test {

namespace {

using Kind = Operation::Kind;
using Answer = Operation::Answer;
using std::chrono::seconds;

constexpr int kLocks = 8;
constexpr int kContendedKeys = 4;
// Long enough that nothing ends by itself while a test runs, and short enough that some do.
constexpr int kLongTtl = 3600;
constexpr int kShortTtl = 2;

Moment now() {
  return std::chrono::steady_clock::now();
}

std::string lock_name(int lock) {
  return "lock-" + std::to_string(lock);
}

// `name` of a JSON object without nesting.
std::int64_t number_in(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value ? value->to_number<std::int64_t>() : 0;
}

std::int64_t number_in(const std::optional<std::string>& header) {
  return header ? std::stoll(*header) : 0;
}

}  // namespace

LoadClient::LoadClient(Client client, std::uint64_t seed, LoadShared& shared)
    : client_(client),
      instance_("client-" + std::to_string(static_cast<int>(client))),
      random_(seed),
      shared_(shared),
      maybe_mine_(kLocks) {}

void LoadClient::run(std::uint16_t port, int life) {
  life_ = life;
  try {
    connection_.emplace(port);
    for (int lock = 0; lock < kLocks; ++lock) {
      if (maybe_mine_[static_cast<std::size_t>(lock)]) renew(lock);
    }
    while (true) do_something();
  } catch (const std::runtime_error&) {
    if (!shared_.server_ends) ++shared_.early_ends;
  }
  connection_.reset();
}

void LoadClient::look_around(std::uint16_t port, int life, const std::vector<KnownLease>& leases) {
  life_ = life;
  connection_.emplace(port);
  for (int lock = 0; lock < kLocks; ++lock) look(lock);
  for (const KnownLease& lease : leases) {
    if (now() < lease.may_end) keep_alive(lease);
  }
  connection_.reset();
}

std::vector<Operation> LoadClient::take_operations() {
  return std::exchange(operations_, {});
}

std::vector<KnownLease> LoadClient::take_leases() {
  return std::exchange(known_leases_, {});
}

void LoadClient::do_something() {
  int lock = up_to(kLocks - 1);
  int what = up_to(99);
  if (what < 30) {
    acquire(lock);
  } else if (what < 40) {
    renew(lock);
  } else if (what < 60) {
    release(lock);
  } else if (what < 65) {
    look(lock);
  } else if (what < 85 || own_leases_.empty()) {
    grant();
  } else {
    keep_alive(own_leases_[static_cast<std::size_t>(up_to(static_cast<int>(own_leases_.size()) - 1))]);
  }
}

void LoadClient::acquire(int lock) {
  int duration = up_to(4) == 0 ? kShortTtl : kLongTtl;
  std::string body = R"({"instanceId":")" + instance_ + R"(","leaseDuration":)" + std::to_string(duration) + "}";
  maybe_mine_[static_cast<std::size_t>(lock)] = true;
  ask({.kind = Kind::acquire, .resource = lock_name(lock)}, "POST", "/v1/crash/lock/" + lock_name(lock) + "/acquire",
      body);
}

void LoadClient::renew(int lock) {
  std::string body =
      R"({"instanceId":")" + instance_ + R"(","leaseDuration":)" + std::to_string(kLongTtl) + R"(,"from":"now"})";
  ask({.kind = Kind::renew, .resource = lock_name(lock), .wanted = seconds(kLongTtl)}, "POST",
      "/v1/crash/lock/" + lock_name(lock) + "/renew", body);
}

void LoadClient::release(int lock) {
  std::string body = R"({"instanceId":")" + instance_ + R"("})";
  auto response = ask({.kind = Kind::release, .resource = lock_name(lock)}, "POST",
                      "/v1/crash/lock/" + lock_name(lock) + "/release", body);
  if (response.status == 200) maybe_mine_[static_cast<std::size_t>(lock)] = false;
}

void LoadClient::look(int lock) {
  ask({.kind = Kind::look, .resource = lock_name(lock)}, "GET", "/v1/crash/lock/" + lock_name(lock));
}

void LoadClient::grant() {
  bool contended = up_to(2) == 0;
  int ttl = contended ? kShortTtl : kLongTtl;
  std::string key =
      contended ? "contended-" + std::to_string(up_to(kContendedKeys - 1)) : "key-" + std::to_string(shared_.keys++);
  Moment asked = now();
  auto response = ask({.kind = Kind::grant, .resource = key}, "POST", "/lease",
                      R"({"key":")" + key + R"(","value":"v"})", "x-lease-ttl: " + std::to_string(ttl) + "s\r\n");
  if (response.status != 201) return;
  KnownLease lease{key, std::stoll(response.body), asked + seconds(ttl)};
  if (own_leases_.size() < 32) {
    own_leases_.push_back(lease);
  } else {
    own_leases_[static_cast<std::size_t>(up_to(31))] = lease;
  }
  known_leases_.push_back(std::move(lease));
}

void LoadClient::keep_alive(const KnownLease& lease) {
  ask({.kind = Kind::keep_alive, .resource = lease.key, .lease = lease.id}, "POST", "/keepalive",
      std::to_string(lease.id));
}

// Notes the operation, also when its answer never comes.
http::TestResponse LoadClient::ask(Operation operation, std::string_view method, const std::string& target,
                                   const std::string& body, const std::string& headers) {
  operation.client = client_;
  operation.life = life_;
  operation.asked = now();
  try {
    auto response = connection_->request(method, target, body, headers);
    operation.answered = now();
    note_answer(operation, response);
    operations_.push_back(std::move(operation));
    ++shared_.answers;
    return response;
  } catch (const std::runtime_error&) {
    operation.answered = now();
    operations_.push_back(std::move(operation));
    throw;
  }
}

void LoadClient::note_answer(Operation& operation, const http::TestResponse& response) const {
  switch (response.status) {
    case 200:
    case 201:
      operation.answer = Answer::done;
      break;
    case 202:
    case 423:
      operation.answer = Answer::refused;
      return;
    case 204:
      operation.answer = Answer::absent;
      return;
    default:  // 500, 503: the outcome is open
      return;
  }
  if (operation.kind == Kind::grant || operation.kind == Kind::keep_alive) {
    operation.token = number_in(response.header("x-fencing-token"));
    operation.ttl = seconds(number_in(response.header("x-lease-ttl")));
    if (operation.kind == Kind::grant) operation.lease = std::stoll(response.body);
    return;
  }
  boost::json::object json = boost::json::parse(response.body).as_object();
  operation.token = number_in(json, "fencingToken");
  operation.ttl = seconds(number_in(json, "ttl"));
  if (const auto* owner = json.if_contains("owner")) operation.owner = owner->as_string();
  if (operation.kind == Kind::look && operation.owner.empty()) operation.answer = Answer::absent;
}

int LoadClient::up_to(int most) {
  return std::uniform_int_distribution<int>(0, most)(random_);
}

}  // namespace sharedlock::test
