#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "history/history_checker.h"

namespace sharedlock::test {

inline constexpr Client kAnna{1};
inline constexpr Client kBert{2};
inline constexpr std::chrono::seconds kLong{3600};

// A history in which only requests pass time, a second each: the next begins when the last one ended.
class Story {
 public:
  using Kind = Operation::Kind;
  using Answer = Operation::Answer;

  Story& acquire(Client client, std::int64_t token, std::chrono::seconds ttl = kLong) {
    return add({.kind = Kind::acquire,
                .resource = "lock",
                .client = client,
                .answer = Answer::done,
                .token = token,
                .ttl = ttl});
  }
  Story& renew(Client client, std::int64_t token, std::chrono::seconds ttl = kLong) {
    return add({.kind = Kind::renew,
                .resource = "lock",
                .client = client,
                .answer = Answer::done,
                .token = token,
                .ttl = ttl});
  }
  Story& release(Client client) {
    return add({.kind = Kind::release, .resource = "lock", .client = client, .answer = Answer::done});
  }
  Story& refused(Kind kind, Client client) {
    return add({.kind = kind, .resource = "lock", .client = client, .answer = Answer::refused});
  }
  Story& unanswered(Kind kind, Client client, std::chrono::seconds wanted = kLong) {
    return add({.kind = kind, .resource = "lock", .client = client, .answer = Answer::none, .wanted = wanted});
  }
  Story& look_finds(std::int64_t token, std::string owner = {}) {
    return add({.kind = Kind::look,
                .resource = "lock",
                .client = kObserver,
                .answer = Answer::done,
                .token = token,
                .owner = std::move(owner)});
  }
  Story& look_finds_nobody() {
    return add({.kind = Kind::look, .resource = "lock", .client = kObserver, .answer = Answer::absent});
  }
  Story& grant(std::string key, std::int64_t token, std::int64_t lease, std::chrono::seconds ttl = kLong) {
    return add({.kind = Kind::grant,
                .resource = std::move(key),
                .client = kAnna,
                .answer = Answer::done,
                .token = token,
                .lease = lease,
                .ttl = ttl});
  }
  Story& keep_alive(std::string key, std::int64_t lease, Answer answer, std::chrono::seconds ttl = kLong,
                    Client client = kObserver) {
    return add({.kind = Kind::keep_alive,
                .resource = std::move(key),
                .client = client,
                .answer = answer,
                .lease = lease,
                .ttl = ttl});
  }
  Story& give_back(std::string key, std::int64_t lease, Answer answer = Answer::done) {
    return add(
        {.kind = Kind::give_back, .resource = std::move(key), .client = kAnna, .answer = answer, .lease = lease});
  }
  Story& who_would_wait() {
    history_.operations.back().wait = std::chrono::seconds(1);
    return *this;
  }
  // The other requests go to server 0, until it crashes.
  Story& about(std::string resource) {
    history_.operations.back().resource = std::move(resource);
    return *this;
  }
  Story& at_server(int life) {
    history_.operations.back().life = life;
    return *this;
  }
  Story& as_instance(int instance) {
    history_.operations.back().instance = instance;
    return *this;
  }
  // The last answer comes this much later; later requests are not delayed by it.
  Story& answered_late(std::chrono::seconds late) {
    history_.operations.back().answered += late;
    return *this;
  }
  Story& clocks_differ_by(std::chrono::seconds skew) {
    history_.clock_skew = skew;
    return *this;
  }
  Story& crash(std::chrono::seconds its_requests_last = {}) {
    history_.no_effect_after.push_back(now_ + its_requests_last);
    now_ += std::chrono::seconds(1);
    return *this;
  }
  Story& pass(std::chrono::seconds time) {
    now_ += time;
    return *this;
  }
  // The last operation takes as long as the one before it, at the same time.
  Story& meanwhile() {
    auto& operations = history_.operations;
    Operation& last = operations.back();
    const Operation& before = operations[operations.size() - 2];
    last.asked = before.asked;
    last.answered = before.answered;
    return *this;
  }

  std::vector<std::string> violations(LostKeepAlive lost = LostKeepAlive::is_gone) const {
    return violations_in(history_, lost);
  }

 private:
  Story& add(Operation operation) {
    operation.life = static_cast<int>(history_.no_effect_after.size());
    operation.asked = now_;
    operation.answered = now_ + std::chrono::seconds(1);
    now_ = operation.answered + std::chrono::milliseconds(1);
    history_.operations.push_back(std::move(operation));
    return *this;
  }

  History history_;
  Moment now_{std::chrono::hours(1)};
};

}  // namespace sharedlock::test
