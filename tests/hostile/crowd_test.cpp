// Thousands of slow connections beside ordinary clients.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "hostile/under_attack.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class Crowd : public UnderAttack {
 protected:
  Crowd() : UnderAttack({{"SHARED_LOCK_SERVER_READ_TIMEOUT", "60s"}}) {}

  // The time within which 99 of 100 requests are answered: half on one connection, half on new ones.
  std::chrono::nanoseconds p99() {
    std::vector<std::chrono::nanoseconds> times;
    TestClient kept = connect();
    for (int i = 0; i < 1000; ++i) {
      auto begin = steady_clock::now();
      auto answer = kept.request("POST", "/lease", R"({"key":"contended"})", "x-lease-ttl: 300s\r\n");
      EXPECT_EQ(answer.status, i == 0 ? first_status_ : 202);
      times.push_back(steady_clock::now() - begin);
      begin = steady_clock::now();
      EXPECT_EQ(ask("GET", "/health").status, 200);
      times.push_back(steady_clock::now() - begin);
    }
    first_status_ = 202;
    std::ranges::sort(times);
    return times[times.size() * 99 / 100];
  }

  // The best of three rounds, as one of them may suffer from other work on this machine.
  std::chrono::nanoseconds median_p99() {
    std::vector<std::chrono::nanoseconds> rounds{p99(), p99(), p99()};
    std::ranges::sort(rounds);
    return rounds[1];
  }

 private:
  int first_status_ = 201;
};

TEST_F(Crowd, TimingSensitiveSlowConnectionsDoNotSlowOthers) {
  constexpr std::size_t kSlow = 5000;
  allow_open_files(kSlow + 100);
  auto alone = median_p99();
  std::vector<TestClient> crowd;
  for (std::size_t i = 0; i < kSlow; ++i) {
    crowd.push_back(connect());
    crowd.back().send(i % 2 == 0 ? "GET /health HTTP/1.1\r\nHost: h\r\nX: "
                                 : post_head("/lease", "Content-Length: 9\r\n"));
  }
  EXPECT_TRUE(eventually_connections(kSlow));
  // A byte for each header in turn, a few thousand a second, all the while.
  std::atomic<bool> over = false;
  std::thread trickle([&] {
    for (std::size_t i = 0; !over; i = (i + 2) % kSlow) {
      crowd[i].send("x");
      if (i % 20 == 0) std::this_thread::sleep_for(1ms);  // real time: this is the pace of slow clients
    }
  });
  auto beside = median_p99();
  over = true;
  trickle.join();
  RecordProperty("p99_alone_us", static_cast<int>(alone / 1us));
  RecordProperty("p99_beside_us", static_cast<int>(beside / 1us));
  EXPECT_LT(beside, std::max<std::chrono::nanoseconds>(10 * alone, kFullSpeed ? 10ms : 100ms));
  EXPECT_EQ(connections(), kSlow) << "still there";
  expect_memory_grew_no_more_than(kSlow * 8 * 1024);
}

}  // namespace
}  // namespace sharedlock::test
