#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sharedlock::test {

using Moment = std::chrono::steady_clock::time_point;

// A client of a history; each asks one thing at a time. The observer only looks, and takes nothing.
enum class Client : int {};
inline constexpr Client kObserver{-1};

// One request, and what its client saw. What it is about is `resource`: a lock's name, or a lease's key.
struct Operation {
  enum class Kind {
    acquire,     // lock API
    renew,       //
    release,     //
    look,        // its GET
    grant,       // lease API: POST /lease
    keep_alive,  //
  };
  enum class Answer {
    none,     // no answer, or one that leaves the outcome open: it may have happened or not
    done,     // 200, 201
    refused,  // 423, 202
    absent,   // look: nobody holds it; keep_alive: 204
  };

  Kind kind{};
  std::string resource = {};
  Client client{};
  int life = 0;  // of the server: how many it had before
  Moment asked = {};
  Moment answered = {};  // with Answer::none: when the client gave up
  Answer answer = Answer::none;
  std::int64_t token = 0;       // acquire, renew, look, grant: as answered
  std::int64_t lease = 0;       // grant: as answered; keep_alive: as asked
  std::chrono::seconds ttl{0};  // acquire, renew, grant, keep_alive: as answered
  std::string owner = {};       // acquire, renew, look: as answered
};

// Everything that clients asked of one data directory.
struct History {
  std::vector<Operation> operations;  // in any order
  std::vector<Moment> ends;           // [i]: when life i of the server was surely over
};

}  // namespace sharedlock::test
