// Clients at work on three servers while these, the members of their etcd, clocks and networks fail; see faults.h for
// what happens, and history/history_checker.h for what must hold.
//   SHARED_LOCK_ETCD_MINUTES   for how long; by default for about a minute
//   SHARED_LOCK_ETCD_SEED      what happens and what the clients do; a run prints its seed
//   SHARED_LOCK_ETCD_JSON      a file for the summary
// A signal to end (SIGINT, SIGTERM) ends the run early, with its summary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "etcd/faults.h"
#include "history/history_checker.h"
#include "history/long_run.h"
#include "history/summary.h"
#include "support/effort.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;

volatile std::sig_atomic_t interrupted = 0;

// Clients, each on a thread of its own, from its beginning to finish().
class Crowd {
 public:
  Crowd(int clients, std::mt19937_64& random, const Contended& contended, const ServerList& servers) {
    clients_.reserve(static_cast<std::size_t>(clients));
    for (int i = 0; i < clients; ++i) clients_.emplace_back(Client{i}, random(), contended, servers);
    for (RoamingClient& client : clients_) {
      threads_.emplace_back([this, &client] { client.run(stop_); });
    }
  }
  ~Crowd() { finish(); }

  std::vector<Operation> finish() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::vector<Operation> all;
    for (RoamingClient& client : clients_) std::ranges::move(client.take_operations(), std::back_inserter(all));
    return all;
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<RoamingClient> clients_;
  std::vector<std::thread> threads_;
};

class EtcdHistory : public testing::Test {
 protected:
  EtcdHistory() {
    std::printf("seed %llu: repeat with SHARED_LOCK_ETCD_SEED\n", static_cast<unsigned long long>(seed_));
    std::fflush(stdout);
    for (int signal : {SIGINT, SIGTERM}) {
      std::signal(signal, [](int) { interrupted = 1; });
    }
    store_.emplace(random_(), [] { return interrupted != 0; });
  }
  ~EtcdHistory() override {
    for (int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  }

  // A history by itself, of names that no other has, so that nothing need be remembered for longer.
  void run_history(seconds faults_for) {
    Contended contended{.prefix = "h" + std::to_string(summary_.histories), .begin = std::chrono::steady_clock::now()};
    Crowd crowd(kClients, random_, contended, store_->list());
    Moment end = contended.begin + faults_for;
    while (std::chrono::steady_clock::now() < end && interrupted == 0) store_->run_round();

    Span busy{contended.begin, std::chrono::steady_clock::now()};
    History history{.operations = crowd.finish(), .clock_skew = 2 * StoreUnderFaults::kClockOffset};
    store_->end_servers();
    history.no_effect_after.assign(static_cast<std::size_t>(store_->lives()), std::chrono::steady_clock::now());
    store_->start_servers();
    wait_until_free(contended, history);
    judge(history, busy);
  }

  // All is quiet: every lock and lease must end, and be free to take.
  void wait_until_free(const Contended& contended, History& history) {
    NotingClient observer(kObserver);
    auto server = store_->list().at(0).value();
    observer.connect(server.port, server.life);
    auto is_free = [](const Operation& look) { return look.answer == Operation::Answer::absent; };
    auto is_granted = [](const Operation& grant) { return grant.answer == Operation::Answer::done; };
    int numbers = contended.numbers(std::chrono::steady_clock::now());
    for (int number = 0; number < numbers; ++number) {
      EXPECT_TRUE(eventually([&] { return is_free(observer.look(contended.lock(number))); }, kAllEnds)) << number;
      auto acquired = [&] { return observer.acquire(contended.lock(number), number, seconds(1)); };
      EXPECT_TRUE(eventually([&] { return is_granted(acquired()); }, kAllEnds))
          << number << ": somebody stands in line";
      EXPECT_TRUE(eventually([&] { return is_granted(observer.grant(contended.key(number), seconds(2))); }, kAllEnds))
          << number;
    }
    std::ranges::move(observer.take_operations(), std::back_inserter(history.operations));
  }

  void judge(const History& history, Span busy) {
    auto violations = violations_in(history, LostKeepAlive::is_doubtful);
    if (!violations.empty()) tell_what_happened();
    std::set<std::string> told;
    for (const std::string& violation : violations) {
      ADD_FAILURE() << violation;
      std::string resource = violation.substr(0, violation.find(':'));
      if (told.size() < 5 && told.insert(resource).second) tell_about(history, resource);
    }
    EXPECT_GT(summary_.lowest_grant(history), summary_.highest_token) << "tokens of an earlier history come again";
    summary_.add(history, busy, violations.size());
    summary_.faults = store_->faults();
    std::printf("%s\n", summary_.line().c_str());
    std::fflush(stdout);
  }

  void tell_what_happened() const {
    for (const auto& event : store_->events()) std::printf("%s %s\n", text_of(event.at).c_str(), event.fault.c_str());
  }

  static void tell_about(const History& history, const std::string& resource) {
    std::vector<Operation> operations = history.operations;
    std::ranges::sort(operations, {}, &Operation::asked);
    for (const Operation& operation : operations) {
      if (operation.resource == resource) std::printf("%s\n", text_of(operation).c_str());
    }
  }

  static constexpr int kClients = 50;
  static constexpr seconds kAllEnds{20};

  const std::uint64_t seed_ = number_from_environment("SHARED_LOCK_ETCD_SEED", std::random_device()());
  std::mt19937_64 random_{seed_};
  std::optional<StoreUnderFaults> store_;
  Summary summary_;
};

TEST_F(EtcdHistory, NothingIsGivenTwiceWhateverFails) {
  auto minutes = number_from_environment("SHARED_LOCK_ETCD_MINUTES", 0);
  Moment end = std::chrono::steady_clock::now() + std::chrono::minutes(minutes);
  do {
    run_history(seconds(minutes == 0 ? 36 : 50));
  } while (std::chrono::steady_clock::now() < end && interrupted == 0 && !HasFailure());

  std::printf("%s", summary_.text().c_str());
  if (const char* file = std::getenv("SHARED_LOCK_ETCD_JSON"); file && *file) summary_.write_json(file, seed_);
  if (interrupted != 0) return;
  EXPECT_GE(summary_.all_faults(), kFullSpeed ? 30 : 15);
  summary_.expect_some_of_everything();
}

}  // namespace
}  // namespace sharedlock::test
