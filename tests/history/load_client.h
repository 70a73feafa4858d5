#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "history/noting_client.h"

namespace sharedlock::test {

// A lease that a client was granted, and from when on it may have ended.
struct KnownLease {
  std::string key;
  std::int64_t id;
  Moment may_end;
};

// What the clients of one test share. Thread-safe.
struct LoadShared {
  std::atomic<std::uint64_t> answers{0};
  std::atomic<std::uint64_t> keys{0};    // for names that were not used before
  std::atomic<bool> server_ends{false};  // from now on a connection may break
  std::atomic<int> early_ends{0};        // connections that broke before that
};

// One client: takes, keeps and gives back locks and leases at random, and notes what it saw. It keeps its identity over
// the server's lives. Not thread-safe.
class LoadClient {
 public:
  LoadClient(Client client, std::uint64_t seed, LoadShared& shared);

  // On one connection, request after request, until it breaks. First it finds out what became of its open tries.
  void run(std::uint16_t port, int life);

  // Asks for the holder of every lock, and keeps alive those of `leases` that can't have ended.
  void look_around(std::uint16_t port, int life, const std::vector<KnownLease>& leases);

  // What was seen since the last call.
  std::vector<Operation> take_operations();
  std::vector<KnownLease> take_leases();

 private:
  void do_something();
  void acquire(int lock);
  void renew(int lock);
  void release(int lock);
  void look(int lock);
  void grant();
  void keep_alive(const KnownLease& lease);

  int up_to(int most);

  NotingClient client_;
  std::mt19937_64 random_;
  LoadShared& shared_;
  std::vector<bool> maybe_mine_;  // [lock]: the last thing that was asked for it may have made it ours
  std::vector<KnownLease> own_leases_;
  std::vector<KnownLease> known_leases_;  // not yet taken
};

}  // namespace sharedlock::test
