#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "http/test_client.h"
#include "support/server_process.h"

namespace sharedlock::test {

// What clients saw that take random sets of the same few locks, wait for them, and give them back.
struct SetsSeen {
  std::atomic<int> taken = 0;
  std::atomic<int> two_inside = 0;     // a lock that two held at once
  std::atomic<int> tokens_fell = 0;    // a later holding without a higher token
  std::atomic<int> partial = 0;        // a grant of other locks than were asked for
  std::atomic<int> other_answers = 0;  // what is neither a grant nor a release
};

// Runs `clients` of them at once, dealt to the servers in turn, each until it has had `turns` sets of up to four; ends
// early when one gets no answer for 10 s, which is what a deadlock looks like.
class SetClients {
 public:
  SetClients(std::vector<const ServerProcess*> servers, int clients, int turns) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < clients; ++i) {
      const ServerProcess& server = *servers[static_cast<std::size_t>(i) % servers.size()];
      threads.emplace_back([this, &server, i, turns] {
        try {
          run(server, i, turns);
        } catch (const std::runtime_error&) {  // no answer
          ++seen_.other_answers;
        }
      });
    }
  }

  const SetsSeen& seen() const { return seen_; }

 private:
  static constexpr std::size_t kLocks = 6;

  void run(const ServerProcess& server, int client, int turns) {
    std::mt19937 random(static_cast<unsigned>(client));
    auto connection = server.connect();
    for (int turn = 0; turn < turns; ++turn) {
      std::vector<std::size_t> chosen{0, 1, 2, 3, 4, 5};
      std::ranges::shuffle(chosen, random);
      chosen.resize(1 + random() % 4);
      std::string body = body_of(chosen, client, turn);
      auto answer = connection.request("POST", "/v1/space/locks/acquire", body + R"(,"leaseDuration":120,"wait":60})");
      if (answer.status != 200) {
        ++seen_.other_answers;
        return;
      }
      enter(chosen, answer.body);
      for (std::size_t lock : chosen) --inside_[lock];
      if (connection.request("POST", "/v1/space/locks/release", body + "}").status != 200) ++seen_.other_answers;
      ++seen_.taken;
    }
  }

  static std::string body_of(const std::vector<std::size_t>& chosen, int client, int turn) {
    std::string names;
    for (std::size_t lock : chosen) names += (names.empty() ? "\"" : ",\"") + name_of(lock) + '"';
    return R"({"names":[)" + names + R"(],"instanceId":"client-)" + std::to_string(client) + '-' +
           std::to_string(turn) + '"';
  }
  static std::string name_of(std::size_t lock) { return "random-" + std::to_string(lock); }

  void enter(const std::vector<std::size_t>& chosen, const std::string& answer) {
    for (std::size_t lock : chosen) {
      if (++inside_[lock] != 1) ++seen_.two_inside;
      std::string before = R"({"lockName":")" + name_of(lock) + R"(","fencingToken":)";
      auto at = answer.find(before);
      if (at == std::string::npos) {
        ++seen_.partial;
        continue;
      }
      std::int64_t token = std::stoll(answer.substr(at + before.size()));
      if (tokens_[lock].exchange(token) >= token) ++seen_.tokens_fell;
    }
  }

  SetsSeen seen_;
  std::array<std::atomic<int>, kLocks> inside_{};
  std::array<std::atomic<std::int64_t>, kLocks> tokens_{};
};

}  // namespace sharedlock::test
