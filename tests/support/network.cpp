#include "support/network.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

void run(const std::string& command) {
  auto ended = run_program({.program = "/bin/sh",
                            .arguments = {"-ec", command},
                            .environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}});
  if (ended.exit_code != 0) throw std::runtime_error(command + ": " + ended.err);
}

void map_to_root(const char* file, unsigned id) {
  std::ofstream(file) << "0 " << id << " 1";
}

std::string namespace_of(const Process& holder) {
  return "/proc/" + std::to_string(holder.pid()) + "/ns/net";
}

void run_in(const Process& holder, const std::string& command) {
  run("nsenter --net=" + namespace_of(holder) + " sh -ec '" + command + "'");
}

// The cable from us to member 0 is 10.1.0.0/24, that from member 0 to the switch is in 10.2.0.0/24.
std::string client_address(std::size_t member) {
  return "10.1." + std::to_string(member) + ".2";
}
std::string our_address(std::size_t member) {
  return "10.1." + std::to_string(member) + ".1";
}
std::string peer_address(std::size_t member) {
  return "10.2.0." + std::to_string(member + 2);
}

}  // namespace

void enter_own_network() {
  static bool entered = false;
  if (entered) return;
  unsigned user = ::getuid();
  unsigned group = ::getgid();
  bool allowed = ::unshare(CLONE_NEWNET) == 0;
  // Where that is not allowed, it is as root of a user namespace.
  if (!allowed && ::unshare(CLONE_NEWNET | CLONE_NEWUSER) != 0) {
    throw std::runtime_error("can't make a network namespace: " + std::generic_category().message(errno));
  }
  if (!allowed) {
    std::ofstream("/proc/self/setgroups") << "deny";
    map_to_root("/proc/self/uid_map", user);
    map_to_root("/proc/self/gid_map", group);
  }
  run("ip link set lo up");
  entered = true;
}

EtcdLan::EtcdLan(std::size_t members) : switch_(make_namespace()) {
  run_in(*switch_, "ip link add bridge type bridge; ip link set bridge up");
  for (std::size_t i = 0; i < members; ++i) connect(i);
}

// A process that does nothing but hold it.
std::unique_ptr<Process> EtcdLan::make_namespace() const {
  auto holder = std::make_unique<Process>(ProcessOptions{
      .program = "/usr/bin/unshare", .arguments = {"--net", "sh", "-c", "echo ready; exec sleep infinity"}});
  if (!eventually([&] { return !holder->out().empty(); })) {
    throw std::runtime_error("can't make a network namespace: " + holder->err());
  }
  return holder;
}

void EtcdLan::connect(std::size_t member) {
  machines_.push_back(make_namespace());
  const Process& machine = *machines_.back();
  std::string number = std::to_string(member);
  std::string pid = std::to_string(machine.pid());
  // The kernel takes its time to end the network of one before, and with it its end of the cable.
  run("ip link del us" + number + " 2> /dev/null || true; ip link add us" + number + " type veth peer name us netns " +
      pid + "; ip addr add " + our_address(member) + "/24 dev us" + number + "; ip link set us" + number + " up");
  run_in(*switch_, "ip link add port" + number + " type veth peer name members netns " + pid + "; ip link set port" +
                       number + " master bridge; ip link set port" + number + " up");
  run_in(machine, "ip link set lo up; ip addr add " + client_address(member) +
                      "/24 dev us; ip link set us up; ip addr add " + peer_address(member) +
                      "/24 dev members; ip link set members up");
}

std::vector<EtcdPlace> EtcdLan::places() const {
  std::vector<EtcdPlace> places;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    places.push_back({.client_address = client_address(i),
                      .peer_address = peer_address(i),
                      .our_address = our_address(i),
                      .launcher = {"/usr/bin/nsenter", "--net=" + namespace_of(*machines_[i])}});
  }
  return places;
}

// At the member's end: at ours the kernel would tell us at once.
void EtcdLan::cut_from_us(std::size_t member) {
  run_in(*machines_.at(member), "ip link set us down");
}
void EtcdLan::join_to_us(std::size_t member) {
  run_in(*machines_.at(member), "ip link set us up");
}
void EtcdLan::cut_from_members(std::size_t member) {
  run_in(*switch_, "ip link set port" + std::to_string(member) + " down");
}
void EtcdLan::join_to_members(std::size_t member) {
  run_in(*switch_, "ip link set port" + std::to_string(member) + " up");
}

}  // namespace sharedlock::test
