#include "history/roaming_client.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>

namespace sharedlock::test {

namespace {

using Answer = Operation::Answer;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMostTries = 4;

}  // namespace

std::optional<ServerList::Server> ServerList::at(std::size_t index) const {
  std::lock_guard lock(mutex_);
  return servers_.at(index);
}

void ServerList::set(std::size_t index, std::optional<Server> server) {
  std::lock_guard lock(mutex_);
  servers_.at(index) = server;
}

RoamingClient::RoamingClient(Client client, std::uint64_t seed, Contended contended, const ServerList& servers)
    : number_(static_cast<int>(client)),
      client_(client),
      random_(seed),
      contended_(std::move(contended)),
      servers_(servers) {}

void RoamingClient::run(const std::atomic<bool>& stop) {
  while (!stop) {
    try {
      if (!client_.connected() || up_to(199) == 0) find_server();
      if (client_.connected()) do_something();
    } catch (const std::runtime_error&) {
      client_.disconnect();
    }
    std::this_thread::sleep_for(milliseconds(10 + up_to(50)));  // real time: their pace; without, etcd would starve
  }
  client_.disconnect();
}

void RoamingClient::find_server() {
  client_.disconnect();
  auto server = servers_.at(static_cast<std::size_t>(up_to(static_cast<int>(servers_.size()) - 1)));
  if (server) client_.connect(server->port, server->life);
}

void RoamingClient::do_something() {
  int what = up_to(99);
  if (!keeps_leases() && what < 5) {
    client_.look(contended_.lock(any_number()));
  } else if (!keeps_leases() && what < 35) {
    acquire();
  } else if (!keeps_leases() && what < 70) {
    renew_or_release();
  } else if (leases_.empty() || (what < 85 && leases_.size() < most_leases())) {
    grant();
  } else {
    keep_alive();
  }
}

void RoamingClient::acquire() {
  Try& one = try_for(any_number());
  bool was_mine = std::exchange(one.maybe_mine, true);
  seconds wait = wait_for(one.number);
  auto acquired = client_.acquire(contended_.lock(one.number), one.instance, one.duration, wait);
  if (acquired.answer == Answer::refused) one.maybe_mine = was_mine;
}

void RoamingClient::renew_or_release() {
  std::vector<Try*> mine;
  for (Try& one : tries_) {
    if (one.maybe_mine) mine.push_back(&one);
  }
  if (mine.empty()) return acquire();
  Try& one = *mine[static_cast<std::size_t>(up_to(static_cast<int>(mine.size()) - 1))];
  if (up_to(9) < 6) {
    client_.renew(contended_.lock(one.number), one.instance, one.duration);
  } else {
    Try released = one;
    one = {.number = one.number, .instance = ++instances_, .duration = short_time()};
    client_.release(contended_.lock(released.number), released.instance);
  }
}

void RoamingClient::grant() {
  int number = any_number();
  std::string key = contended_.key(number);
  seconds wait = wait_for(number);
  auto granted = client_.grant(key, short_time(), wait);
  if (granted.answer == Answer::done) leases_.push_back({key, granted.lease});
}

void RoamingClient::keep_alive() {
  if (!keeps_leases() && up_to(4) == 0) {
    Lease lease = leases_.back();
    leases_.pop_back();
    if (up_to(1) == 0) client_.give_back(lease.key, lease.id);
    return;  // or forgotten: it ends by itself
  }
  std::rotate(leases_.begin(), leases_.begin() + 1, leases_.end());
  Lease lease = leases_.back();
  auto kept = client_.keep_alive(lease.key, lease.id);
  if (kept.answer == Answer::absent) leases_.pop_back();
}

seconds RoamingClient::wait_for(int number) {
  if (number % 2 == 0 || up_to(2) != 0) return seconds(0);
  if (up_to(4) == 0) client_.hang_up_after(milliseconds(up_to(400)));
  return seconds(1 + up_to(1));
}

// The oldest try is forgotten when there are many.
RoamingClient::Try& RoamingClient::try_for(int number) {
  auto found = std::ranges::find(tries_, number, &Try::number);
  if (found != tries_.end()) return *found;
  if (tries_.size() == kMostTries) tries_.erase(tries_.begin());
  tries_.push_back({.number = number, .instance = ++instances_, .duration = short_time()});
  return tries_.back();
}

int RoamingClient::any_number() {
  int numbers = contended_.numbers(std::chrono::steady_clock::now());
  return numbers - 1 - up_to(contended_.each - 1);
}

int RoamingClient::up_to(int most) {
  return std::uniform_int_distribution<int>(0, most)(random_);
}

seconds RoamingClient::short_time() {
  return seconds(2 + up_to(4));
}

std::size_t RoamingClient::most_leases() const {
  return keeps_leases() ? 6 : 3;
}

bool RoamingClient::keeps_leases() const {
  return number_ % 5 == 0;
}

}  // namespace sharedlock::test
