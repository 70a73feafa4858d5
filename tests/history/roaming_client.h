#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "history/noting_client.h"

namespace sharedlock::test {

// Where the servers of one store are at present. Thread-safe.
class ServerList {
 public:
  struct Server {
    std::uint16_t port;
    int life;
  };
  explicit ServerList(std::size_t servers) : servers_(servers) {}

  std::size_t size() const { return servers_.size(); }
  std::optional<Server> at(std::size_t index) const;
  void set(std::size_t index, std::optional<Server> server);

 private:
  mutable std::mutex mutex_;
  std::vector<std::optional<Server>> servers_;  // nothing: it is down
};

// What its clients contend for: locks and lease keys, with new names every few seconds, so that a try without an answer
// soon no longer matters. They last a few seconds. The names are `prefix`-lock-N and `prefix`-key-N.
struct Contended {
  std::string prefix;
  Moment begin;
  int each = 25;                       // so many of both at a time
  std::chrono::seconds generation{5};  // for so long

  std::string lock(int number) const { return prefix + "-lock-" + std::to_string(number); }
  std::string key(int number) const { return prefix + "-key-" + std::to_string(number); }
  // Of all that were ever contended for up to `now`: their numbers are below it.
  int numbers(Moment now) const { return each * (1 + static_cast<int>((now - begin) / generation)); }
};

// One client of all servers: asks at random for locks and leases, keeps them, gives them back or forgets them, and goes
// to another server when its own does not answer, and now and then for no reason.
//
// It does what clients are told to do: it asks for a lock with one instance and one duration, also again when there was
// no answer; once it released that, with whatever success, it takes another instance.
class RoamingClient {
 public:
  RoamingClient(Client client, std::uint64_t seed, Contended contended, const ServerList& servers);

  // Until `stop`, and then until the last answer.
  void run(const std::atomic<bool>& stop);

  std::vector<Operation> take_operations() { return client_.take_operations(); }

 private:
  // What it does about one lock.
  struct Try {
    int number;  // of the lock
    int instance;
    std::chrono::seconds duration;
    bool maybe_mine = false;
  };
  struct Lease {
    std::string key;
    std::int64_t id;
  };

  void find_server();
  void do_something();
  void acquire();
  void renew_or_release();
  void grant();
  void keep_alive();

  // Clients may queue for one of these locks and keys.
  std::chrono::seconds wait_for(int number);

  Try& try_for(int number);
  int any_number();
  int up_to(int most);
  std::chrono::seconds short_time();
  std::size_t most_leases() const;
  bool keeps_leases() const;  // and asks for no locks

  const int number_;
  NotingClient client_;
  std::mt19937_64 random_;
  const Contended contended_;
  const ServerList& servers_;
  std::vector<Try> tries_;
  int instances_ = 0;
  std::vector<Lease> leases_;  // the one kept alive last is at the end
};

}  // namespace sharedlock::test
