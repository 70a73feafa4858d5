#include "history/load_client.h"

#include <chrono>
#include <stdexcept>
#include <utility>

namespace sharedlock::test {

namespace {

using std::chrono::seconds;

constexpr int kLocks = 8;
constexpr int kContendedKeys = 4;
// So long that nothing ends by itself while a test runs, and so short that some do.
constexpr int kLongTtl = 3600;
constexpr int kShortTtl = 2;

Moment now() {
  return std::chrono::steady_clock::now();
}

std::string lock_name(int lock) {
  return "lock-" + std::to_string(lock);
}

}  // namespace

LoadClient::LoadClient(Client client, std::uint64_t seed, LoadShared& shared)
    : client_(client), random_(seed), shared_(shared), maybe_mine_(kLocks) {}

void LoadClient::run(std::uint16_t port, int life) {
  try {
    client_.connect(port, life);
    for (int lock = 0; lock < kLocks; ++lock) {
      if (maybe_mine_[static_cast<std::size_t>(lock)]) renew(lock);
    }
    while (true) do_something();
  } catch (const std::runtime_error&) {
    if (!shared_.server_ends) ++shared_.early_ends;
  }
  client_.disconnect();
}

void LoadClient::look_around(std::uint16_t port, int life, const std::vector<KnownLease>& leases) {
  client_.connect(port, life);
  for (int lock = 0; lock < kLocks; ++lock) look(lock);
  for (const KnownLease& lease : leases) {
    if (now() < lease.may_end) keep_alive(lease);
  }
  client_.disconnect();
}

std::vector<Operation> LoadClient::take_operations() {
  return client_.take_operations();
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
  maybe_mine_[static_cast<std::size_t>(lock)] = true;
  client_.acquire(lock_name(lock), 0, seconds(duration));
  ++shared_.answers;
}

void LoadClient::renew(int lock) {
  client_.renew(lock_name(lock), 0, seconds(kLongTtl));
  ++shared_.answers;
}

void LoadClient::release(int lock) {
  auto released = client_.release(lock_name(lock), 0);
  if (released.answer == Operation::Answer::done) maybe_mine_[static_cast<std::size_t>(lock)] = false;
  ++shared_.answers;
}

void LoadClient::look(int lock) {
  client_.look(lock_name(lock));
  ++shared_.answers;
}

void LoadClient::grant() {
  bool contended = up_to(2) == 0;
  int ttl = contended ? kShortTtl : kLongTtl;
  std::string key =
      contended ? "contended-" + std::to_string(up_to(kContendedKeys - 1)) : "key-" + std::to_string(shared_.keys++);
  auto granted = client_.grant(key, seconds(ttl));
  ++shared_.answers;
  if (granted.answer != Operation::Answer::done) return;
  KnownLease lease{key, granted.lease, granted.asked + seconds(ttl)};
  if (own_leases_.size() < 32) {
    own_leases_.push_back(lease);
  } else {
    own_leases_[static_cast<std::size_t>(up_to(31))] = lease;
  }
  known_leases_.push_back(std::move(lease));
}

void LoadClient::keep_alive(const KnownLease& lease) {
  client_.keep_alive(lease.key, lease.id);
  ++shared_.answers;
}

int LoadClient::up_to(int most) {
  return std::uniform_int_distribution<int>(0, most)(random_);
}

}  // namespace sharedlock::test
