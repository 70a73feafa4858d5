// Clients at work while the server is killed, again and again, on one data directory; see history_checker.h for what
// must hold. What a kill can't do is lose what was written but not synced: a power cut can, and the tests of the
// embedded store play that through their journal.
//   SHARED_LOCK_CRASH_ROUNDS   how often the server is killed under load; each fifth time another one is killed while
//                              it starts
//   SHARED_LOCK_CRASH_SEED     what the clients do; a run prints its seed (when the server dies is not repeated
//   exactly)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "crash/data_directory.h"
#include "history/history_checker.h"
#include "history/load_client.h"
#include "history/long_run.h"
#include "support/effort.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using testing::IsEmpty;

constexpr int kClients = 6;
constexpr int kKilled = 128 + SIGKILL;

class Crash : public testing::Test {
 protected:
  Crash() {
    std::printf("seed %llu: repeat with SHARED_LOCK_CRASH_SEED\n", static_cast<unsigned long long>(seed_));
    std::fflush(stdout);
    clients_.reserve(kClients);
    for (int client = 0; client < kClients; ++client) clients_.emplace_back(Client{client}, random_(), shared_);
  }

  // One life of the server: first what survived the previous life is checked, then the clients work until it is killed.
  void run_life() {
    ServerProcess server(embedded_in(data_.path()));
    look_around(server, kSampleOfLeases);
    shared_.server_ends = false;
    std::vector<std::thread> threads;
    threads.reserve(clients_.size());
    for (LoadClient& client : clients_) threads.emplace_back([&, this] { client.run(server.port(), life()); });

    // The first life is never so short that a run of one or two shows nothing.
    std::uint64_t least = life() == 0 ? kAnswersPerLife / 2 : 0;
    auto enough = shared_.answers + std::uniform_int_distribution<std::uint64_t>(least, kAnswersPerLife)(random_);
    EXPECT_TRUE(eventually([&] { return shared_.answers >= enough; })) << "the server does not answer";
    shared_.server_ends = true;
    server.process().signal(SIGKILL);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(server.process().wait(), kKilled) << server.err();
    end_life();
  }

  // A server that is killed while it starts.
  void run_start() {
    ProcessOptions options = embedded_in(data_.path());
    options.arguments = {"serve", "--port", "0"};
    Process process(options);
    auto kill_at = std::chrono::steady_clock::now() + std::chrono::milliseconds(random_() % 60);
    (void)eventually([&] { return std::chrono::steady_clock::now() >= kill_at; });
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait(), kKilled) << process.err();
    end_life();
  }

  // A life without clients and with a clean end: everything that was ever granted is checked.
  void run_quiet_life() {
    ServerProcess server(embedded_in(data_.path()));
    look_around(server, leases_.size());
    EXPECT_EQ(server.stop(), 0) << server.err();
    end_life();
  }

  int life() const { return static_cast<int>(history_.no_effect_after.size()); }

  // Of the leases only a sample that is different each time, since there are ever more of them.
  void look_around(const ServerProcess& server, std::size_t most_leases) {
    std::vector<KnownLease> some;
    std::ranges::sample(leases_, std::back_inserter(some), static_cast<std::ptrdiff_t>(most_leases), random_);
    observer_.look_around(server.port(), life(), some);
  }

  void end_life() {
    history_.no_effect_after.push_back(std::chrono::steady_clock::now());
    collect(observer_);
    for (LoadClient& client : clients_) collect(client);
  }

  void collect(LoadClient& client) {
    std::ranges::move(client.take_operations(), std::back_inserter(history_.operations));
    std::ranges::move(client.take_leases(), std::back_inserter(leases_));
  }

  static constexpr std::uint64_t kAnswersPerLife = kFullSpeed ? 3000 : 600;
  static constexpr std::size_t kSampleOfLeases = 500;

  const std::uint64_t seed_ = number_from_environment("SHARED_LOCK_CRASH_SEED", std::random_device()());
  std::mt19937_64 random_{seed_};
  DataDirectory data_;
  LoadShared shared_;
  std::vector<LoadClient> clients_;
  LoadClient observer_{kObserver, 0, shared_};
  std::vector<KnownLease> leases_;
  History history_;
};

TEST_F(Crash, SafetyR12_WhatClientsWereToldSurvivesKill9) {
  auto rounds = number_from_environment("SHARED_LOCK_CRASH_ROUNDS", kFullSpeed ? 20 : 6);
  constexpr std::uint64_t kCheckEvery = 50;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    run_life();
    if (round % 5 == 0) run_start();
    if (round % kCheckEvery == 0) {
      std::printf("round %llu: %zu requests\n", static_cast<unsigned long long>(round), history_.operations.size());
      std::fflush(stdout);
      ASSERT_THAT(violations_in(history_), IsEmpty());
    }
  }
  run_quiet_life();
  run_quiet_life();

  EXPECT_THAT(violations_in(history_), IsEmpty());
  EXPECT_EQ(shared_.early_ends, 0) << "connections broke before the server was killed";
  expect_some_of_everything(history_);
}

}  // namespace
}  // namespace sharedlock::test
