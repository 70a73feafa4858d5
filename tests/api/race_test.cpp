#include <array>
#include <atomic>
#include <barrier>
#include <exception>
#include <functional>
#include <thread>

#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using Race = OnServer<OpenMemory>;

constexpr int kRounds = 10'000;
constexpr int kRacers = 2;

// Runs `run(0)` and `run(1)` at the same time; what they throw fails the test.
void race(const std::function<void(int racer)>& run) {
  std::array<std::string, kRacers> faults;
  std::array<std::thread, kRacers> threads;
  for (int racer = 0; racer < kRacers; ++racer) {
    auto at = static_cast<std::size_t>(racer);
    threads[at] = std::thread([&run, &faults, racer, at] {
      try {
        run(racer);
      } catch (const std::exception& fault) {
        faults[at] = fault.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults) EXPECT_EQ(fault, "");
}

// Leaves the other racer running when this one is gone.
struct InStep {
  std::barrier<>& barrier;

  ~InStep() { barrier.arrive_and_drop(); }
};

TEST_F(Race, ALeaseNeverHasTwoWinners) {
  std::barrier<> start(kRacers);
  std::array<std::vector<int>, kRacers> statuses;
  race([&](int racer) {
    InStep in_step{start};
    TestClient client = server().connect();
    for (int round = 0; round < kRounds; ++round) {
      std::string body = R"({"key":"race-)" + std::to_string(round) + "\"}";
      start.arrive_and_wait();
      auto response = client.request("POST", "/lease", body, "x-lease-ttl: 1h\r\n");
      statuses[static_cast<std::size_t>(racer)].push_back(response.status);
    }
  });
  ASSERT_EQ(statuses[0].size(), statuses[1].size());
  std::array<int, kRacers> wins{};
  for (std::size_t round = 0; round < statuses[0].size(); ++round) {
    std::array<int, kRacers> both{statuses[0][round], statuses[1][round]};
    ASSERT_THAT(both, testing::UnorderedElementsAre(201, 202)) << "round " << round;
    ++wins[both[0] == 201 ? 0 : 1];
  }
  EXPECT_EQ(wins[0] + wins[1], kRounds);
}

TEST_F(Race, ALockNeverHasTwoHolders) {
  std::atomic<int> holders{0};
  std::atomic<int> wins{0};
  std::atomic<int> refusals{0};
  std::atomic<std::int64_t> newest{0};
  race([&](int racer) {
    TestClient client = server().connect();
    std::string instance = R"({"instanceId":"racer-)" + std::to_string(racer) + "\"";
    for (int round = 0; round < kRounds; ++round) {
      auto acquired = client.request("POST", "/v1/space/lock/race/acquire", instance + R"(,"leaseDuration":3600})");
      if (acquired.status != 200) {
        ASSERT_EQ(acquired.status, 423);
        ++refusals;
        continue;
      }
      ++wins;
      ASSERT_EQ(++holders, 1);
      std::int64_t token = number_in(acquired.header("X-Fencing-Token"));
      ASSERT_GT(token, newest.exchange(token));
      --holders;
      ASSERT_EQ(client.request("POST", "/v1/space/lock/race/release", instance + "}").status, 200);
    }
  });
  EXPECT_EQ(wins + refusals, kRacers * kRounds);
  EXPECT_GT(wins, 0);
  EXPECT_GT(refusals, 0) << "no two asked at once";
}

}  // namespace
}  // namespace sharedlock::test
