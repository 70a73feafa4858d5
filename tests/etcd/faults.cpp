#include "etcd/faults.h"

#include <boost/json.hpp>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "support/effort.h"
#include "support/eventually.h"

namespace sharedlock::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Moment now() {
  return std::chrono::steady_clock::now();
}

// A request to etcd may still be proposed for 5 s and two election timeouts.
constexpr seconds kLatestProposal{7 + 1};
constexpr int kEventsKept = 1000;

}  // namespace

StoreUnderFaults::StoreUnderFaults(std::uint64_t seed, std::function<bool()> interrupted)
    : random_(seed), interrupted_(std::move(interrupted)) {
  enter_own_network();
  lan_.emplace(3);
  etcd_.emplace(EtcdServerOptions{.members = 3, .places = lan_->places()});
  start_servers();
}

void StoreUnderFaults::run_round() {
  if (events_.size() > kEventsKept) events_.erase(events_.begin(), events_.end() - kEventsKept / 2);
  std::size_t leader = etcd_->leader();
  bool leads = up_to(1) == 0;
  std::size_t member = leads ? leader : (leader + 1 + up_to(1)) % etcd_->size();
  switch (up_to(4)) {
    case 0:
      kill_member(member);
      break;
    case 1:
    case 2:
      stop_member(member, leads);
      break;
    case 3:
      cut_member_from_members(member, leads);
      break;
    default:
      cut_member_from_us(member);
      break;
  }
  pass(between(200, 800));
}

void StoreUnderFaults::kill_member(std::size_t member) {
  note("member killed", member);
  etcd_->member(member).kill();
  disturb(between(500, 4000));
  etcd_->member(member).start();
}

// Often for longer than leases last.
void StoreUnderFaults::stop_member(std::size_t member, bool leads) {
  note(leads ? "leader stopped" : "follower stopped", member);
  etcd_->member(member).stop();
  disturb(between(1500, 6000));
  etcd_->member(member).resume();
  events_.push_back({now(), "goes on"});
}

void StoreUnderFaults::cut_member_from_members(std::size_t member, bool leads) {
  note(leads ? "leader cut from members" : "follower cut from members", member);
  lan_->cut_from_members(member);
  disturb(between(500, 4000));
  lan_->join_to_members(member);
  events_.push_back({now(), "mended"});
}

void StoreUnderFaults::cut_member_from_us(std::size_t member) {
  note("member cut from servers", member);
  lan_->cut_from_us(member);
  disturb(between(500, 4000));
  lan_->join_to_us(member);
  events_.push_back({now(), "mended"});
}

void StoreUnderFaults::disturb(milliseconds span) {
  Moment end = now() + span;
  pass(between(100, 500));
  while (now() < end && !interrupted_()) {
    disturb_once();
    pass(between(100, 600));
  }
}

void StoreUnderFaults::disturb_once() {
  expect_that_all_run();
  switch (up_to(7)) {
    case 0:
    case 1:
    case 2:
      return kill_server();
    case 3:
    case 4:
      return stop_server();
    case 5:
      return compact();
    case 6:
      return defragment();
    default:
      return move_leader();
  }
}

// A server that ends by itself must not be taken for one that was killed.
void StoreUnderFaults::expect_that_all_run() {
  for (auto& server : servers_) {
    if (!server->process().running()) throw std::runtime_error(server->process().last_words());
  }
}

void StoreUnderFaults::kill_server() {
  std::size_t index = up_to(servers_.size() - 1);
  note("server killed", index);
  list_.set(index, std::nullopt);
  servers_[index]->process().signal(SIGKILL);
  servers_[index]->process().wait();
  pass(between(0, 300));
  start_server(index);
}

void StoreUnderFaults::stop_server() {
  std::size_t index = up_to(servers_.size() - 1);
  note("server stopped", index);
  Process& process = servers_[index]->process();
  process.stop();
  pass(between(100, 2500));
  process.resume();
}

void StoreUnderFaults::compact() {
  std::string out;
  if (!etcdctl({"get", "nothing", "-w", "json"}, &out)) return;
  auto revision = boost::json::parse(out).at("header").at("revision").to_number<std::int64_t>();
  if (etcdctl({"compaction", std::to_string(revision)})) note("compaction", 0);
}

void StoreUnderFaults::defragment() {
  if (etcdctl({"defrag"})) note("defragmentation", 0);
}

void StoreUnderFaults::move_leader() {
  std::size_t member = up_to(etcd_->size() - 1);
  std::array<char, 20> id{};
  std::snprintf(id.data(), id.size(), "%llx", static_cast<unsigned long long>(etcd_->member(member).id()));
  bool moved = etcdctl({"move-leader", id.data()});
  if (moved) note("leader moved", member);
}

void StoreUnderFaults::end_servers() {
  expect_that_all_run();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    list_.set(i, std::nullopt);
    servers_[i]->process().signal(SIGKILL);
    servers_[i]->process().wait();
  }
  Moment over = now() + kLatestProposal;
  (void)eventually([&] { return now() >= over; });
}

void StoreUnderFaults::start_servers() {
  for (std::size_t i = 0; i < servers_.size(); ++i) start_server(i);
  events_.push_back({now(), "all servers begin"});
  for (auto& server : servers_) {
    if (!server->becomes_ready()) throw std::runtime_error("a server is not ready: " + server->server().err());
  }
}

void StoreUnderFaults::start_server(std::size_t index) {
  servers_[index] = std::make_unique<ServiceOnEtcd>(*etcd_, environment(index));
  list_.set(index, ServerList::Server{servers_[index]->server().port(), lives_++});
}

// Its wall clock is off by some seconds; the others, which time leases, are not touched. What is preloaded before a
// sanitizer makes that refuse to start.
Environment StoreUnderFaults::environment(std::size_t index) {
  if (!kFullSpeed) return {};
  int most = kClockOffset.count();
  int offset = std::uniform_int_distribution(-most, most)(random_);
  if (offset != 0) note("clock set off", index);
  std::string sign = offset < 0 ? "" : "+";
  return {{"LD_PRELOAD", SHAREDLOCK_FAKETIME},
          {"FAKETIME", sign + std::to_string(offset) + "s"},
          {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
}

// Patient only with members that answer.
bool StoreUnderFaults::etcdctl(std::vector<std::string> arguments, std::string* out) {
  arguments.insert(arguments.begin(), {"--dial-timeout=1s", "--command-timeout=2s"});
  auto ended = etcd_->try_etcdctl(arguments);
  if (out) *out = ended.out;
  return ended.exit_code == 0;
}

void StoreUnderFaults::note(const std::string& fault, std::size_t index) {
  ++faults_[fault];
  events_.push_back({now(), fault + " " + std::to_string(index)});
}

void StoreUnderFaults::pass(milliseconds span) {
  Moment end = now() + span;
  (void)eventually([&] { return now() >= end || interrupted_(); });
}

milliseconds StoreUnderFaults::between(int least, int most) {
  return milliseconds(least) + milliseconds(up_to(static_cast<std::size_t>(most - least)));
}

std::size_t StoreUnderFaults::up_to(std::size_t most) {
  return std::uniform_int_distribution<std::size_t>(0, most)(random_);
}

}  // namespace sharedlock::test
