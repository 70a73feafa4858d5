#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sharedlock::test {

using Moment = std::chrono::steady_clock::time_point;
inline constexpr Moment kNever = Moment::max();

struct Span {
  Moment from;
  Moment to;
};

// A client of a history; each asks one thing at a time. The observer looks, and at the end takes what should be free.
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
    give_back,   // its POST /release
  };
  enum class Answer {
    none,     // no answer, or one that leaves the outcome open: it may have happened or not
    done,     // 200, 201
    refused,  // 423, 202
    absent,   // look: nobody holds it; keep_alive, give_back: 204
  };

  Kind kind{};
  std::string resource = {};
  Client client{};
  int instance = 0;  // lock API: which of its client's identities asks; they are as different as two clients
  int life = 0;      // of the server that was asked: an index into History::no_effect_after
  Moment asked = {};
  Moment answered = {};  // with Answer::none: when the client gave up
  Answer answer = Answer::none;
  std::int64_t token = 0;          // acquire, renew, look, grant: as answered
  std::int64_t lease = 0;          // grant: as answered; keep_alive, give_back: as asked
  std::chrono::seconds ttl{0};     // acquire, renew, grant, keep_alive: as answered
  std::chrono::seconds wanted{0};  // renew: as asked
  std::chrono::seconds wait{0};    // acquire, grant: in the queue, as asked
  std::string owner = {};          // acquire, renew, look: as answered
};

// Everything that clients asked of the servers of one store. A server that ends and begins again has another life.
struct History {
  std::vector<Operation> operations;  // in any order
  // [life]: from when on nothing happens any more of what that server was asked and did not answer. With a store of its
  // own that is when it is dead; what etcd was asked may happen long after.
  std::vector<Moment> no_effect_after = {};
  // The clocks of the servers differ by no more than this. It makes renewals by the clock ahead come too late.
  std::chrono::seconds clock_skew{0};
};

}  // namespace sharedlock::test
