#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "history/roaming_client.h"
#include "support/network.h"

namespace sharedlock::test {

// Three members of an etcd on networks of their own, three of our servers with clocks that differ, and random faults of
// all of them. For one thread, which must outlive it; its clients find the servers in list().
class StoreUnderFaults {
 public:
  // By so much a server's clock is off at most, to either side.
  static constexpr std::chrono::duration<int> kClockOffset{2};

  // `interrupted` says when to come to an end.
  StoreUnderFaults(std::uint64_t seed, std::function<bool()> interrupted);

  const ServerList& list() const { return list_; }
  // How many lives servers have had.
  int lives() const { return lives_; }
  // How often each kind of fault happened.
  const std::map<std::string, int>& faults() const { return faults_; }
  // When each began, for looking into a violation.
  struct Event {
    Moment at;
    std::string fault;
  };
  const std::vector<Event>& events() const { return events_; }

  // One member fails for a while, and smaller things happen meanwhile; then all is mended.
  void run_round();

  // Every server ends at once, and what they asked of etcd comes to its end.
  void end_servers();
  // They begin again, and serve.
  void start_servers();

  std::string last_words() const { return etcd_->logs(); }

 private:
  void kill_member(std::size_t member);
  void stop_member(std::size_t member, bool leads);
  void cut_member_from_members(std::size_t member, bool leads);
  void cut_member_from_us(std::size_t member);
  void disturb(std::chrono::milliseconds span);  // smaller things, until so much time has passed
  void disturb_once();
  void expect_that_all_run();
  void kill_server();
  void stop_server();
  void compact();
  void defragment();
  void move_leader();

  void start_server(std::size_t index);
  Environment environment(std::size_t index);
  bool etcdctl(std::vector<std::string> arguments, std::string* out = nullptr);
  void note(const std::string& fault, std::size_t index);
  void pass(std::chrono::milliseconds span);
  std::chrono::milliseconds between(int least, int most);
  std::size_t up_to(std::size_t most);

  std::mt19937_64 random_;
  const std::function<bool()> interrupted_;
  std::optional<EtcdLan> lan_;
  std::optional<EtcdServer> etcd_;
  std::array<std::unique_ptr<ServiceOnEtcd>, 3> servers_;
  ServerList list_{3};
  int lives_ = 0;
  std::map<std::string, int> faults_;
  std::vector<Event> events_;
};

}  // namespace sharedlock::test
