// Clients at work on two servers while members of etcd are killed, stopped and cut off; see history/history_checker.h
// for what must hold.
//   SHARED_LOCK_ETCD_ROUNDS   how often something happens to a member
//   SHARED_LOCK_ETCD_SEED     what the clients do; a run prints its seed
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "history/history_checker.h"
#include "history/load_client.h"
#include "history/long_run.h"
#include "support/network.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;

class EtcdHistory : public testing::Test {
 protected:
  static constexpr int kClients = 6;

  EtcdHistory() {
    std::printf("seed %llu: repeat with SHARED_LOCK_ETCD_SEED\n", static_cast<unsigned long long>(seed_));
    std::fflush(stdout);
    enter_own_network();
    lan_.emplace(3);
    etcd_.emplace(EtcdServerOptions{.members = 3, .places = lan_->places()});
    for (auto& service : services_) service.emplace(*etcd_);
    clients_.reserve(kClients);
    for (int client = 0; client < kClients; ++client) clients_.emplace_back(Client{client}, random_(), shared_);
  }

  void start_clients() {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      std::uint16_t port = services_[i % services_.size()]->server().port();
      threads_.emplace_back([this, i, port] { clients_[i].run(port, 0); });
    }
  }

  void stop_clients() {
    shared_.server_ends = true;
    for (auto& service : services_) EXPECT_EQ(service->server().stop(), 0) << service->server().err();
    for (std::thread& thread : threads_) thread.join();
    end_life();
  }

  // All is quiet: what is left is looked at.
  void look_around() {
    ServiceOnEtcd service(*etcd_);
    ASSERT_TRUE(service.becomes_ready());
    observer_.look_around(service.server().port(), 1, leases_);
    end_life();
  }

  void end_life() {
    history_.settled.push_back(std::chrono::steady_clock::now());
    collect(observer_);
    for (LoadClient& client : clients_) collect(client);
  }
  void collect(LoadClient& client) {
    std::ranges::move(client.take_operations(), std::back_inserter(history_.operations));
    std::ranges::move(client.take_leases(), std::back_inserter(leases_));
  }

  // Something happens to a member, the clients go on for a while, then it is mended, and they go on again.
  void run_fault(std::uint64_t round) {
    bool leads = random_() % 2 == 0;
    std::size_t member = leads ? etcd_->leader() : etcd_->follower();
    switch (round % 3) {
      case 0:
        etcd_->member(member).kill();
        work_for(milliseconds(2500));
        etcd_->member(member).start();
        break;
      case 1:
        lan_->cut_from_members(member);
        work_for(milliseconds(2500));
        lan_->join_to_members(member);
        break;
      case 2:
        lan_->cut_from_us(member);
        work_for(milliseconds(2500));
        lan_->join_to_us(member);
        break;
    }
    work_for(milliseconds(500));
  }

  // Time passes; clients that are not told anything in all of it would make the test show nothing.
  void work_for(milliseconds span) {
    auto end = std::chrono::steady_clock::now() + span;
    (void)eventually([&] { return std::chrono::steady_clock::now() >= end; });
  }

  const std::uint64_t seed_ = number_from_environment("SHARED_LOCK_ETCD_SEED", std::random_device()());
  std::mt19937_64 random_{seed_};
  std::optional<EtcdLan> lan_;
  std::optional<EtcdServer> etcd_;
  std::array<std::optional<ServiceOnEtcd>, 2> services_;
  LoadShared shared_;
  std::vector<LoadClient> clients_;
  LoadClient observer_{kObserver, 0, shared_};
  std::vector<KnownLease> leases_;
  std::vector<std::thread> threads_;
  History history_;
};

TEST_F(EtcdHistory, NothingIsGivenTwiceWhileMembersFail) {
  for (auto& service : services_) ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  auto rounds = number_from_environment("SHARED_LOCK_ETCD_ROUNDS", 5);
  start_clients();
  for (std::uint64_t round = 0; round < rounds; ++round) run_fault(round);
  stop_clients();
  look_around();

  EXPECT_THAT(violations_in(history_, LostKeepAlive::is_doubtful), IsEmpty());
  EXPECT_EQ(shared_.early_ends, 0) << "a request was not answered, or a connection broke";
  expect_some_of_everything(history_);
}

}  // namespace
}  // namespace sharedlock::test
