#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {

// PEM files for an etcd that asks for client certificates (support/test_certificates.h makes them).
struct EtcdServerTls {
  std::string ca;           // signs both sides
  std::string certificate;  // of the servers, for EtcdServer::address()
  std::string key;
  std::string client_certificate;  // for etcdctl
  std::string client_key;
};

// Where a member runs, if not simply on this machine's loopback.
struct EtcdPlace {
  std::string client_address;         // where clients, and we, reach it
  std::string peer_address;           // where the other members do
  std::string our_address = {};       // where it reaches us
  std::vector<std::string> launcher;  // the program that starts it there, with its arguments
};

// How an etcd is to be. The defaults are etcd's own.
struct EtcdServerOptions {
  std::size_t members = 1;
  // Heartbeats come ten times as often. No lease is shorter than 1.5 times this, in whole seconds: by default 2 s.
  std::chrono::milliseconds election_timeout{1000};
  std::uint64_t quota_bytes = 0;  // 0: 2 GiB
  std::optional<EtcdServerTls> tls = {};
  std::vector<std::string> flags = {};  // further ones, for every member
  std::vector<EtcdPlace> places = {};   // one for each member; none: address()
  std::uint16_t client_port = 0;        // of every place; 0: free ones
};

// One process of an etcd. Its data stays until the EtcdServer goes.
class EtcdMember {
 public:
  EtcdMember(std::string name, EtcdPlace place, std::string client_url, std::string peer_url);

  const std::string& name() const { return name_; }
  const std::string& url() const { return client_url_; }  // for clients
  std::uint16_t port() const { return static_cast<std::uint16_t>(std::stoi(url().substr(url().rfind(':') + 1))); }
  const std::string& peer_url() const { return peer_url_; }
  std::uint64_t id() const { return id_; }  // etcd's own
  pid_t pid() const { return process_->pid(); }

  void kill();    // SIGKILL
  void stop();    // SIGSTOP: it holds its connections and answers nothing
  void resume();  // SIGCONT
  // Begins again with its data, and waits until it serves.
  void start();
  bool running() { return process_ && process_->running(); }

  // The last lines that it wrote.
  std::string log(std::size_t lines = 40) const;

 private:
  friend class EtcdServer;
  void spawn();
  bool serves() const;

  std::string name_;
  EtcdPlace place_;
  std::string client_url_;
  std::string peer_url_;
  std::vector<std::string> arguments_;
  std::uint64_t id_ = 0;
  std::unique_ptr<Process> process_;
  bool stopped_ = false;
};

// A real etcd of one or more members on loopback, with data of its own in a temporary directory; and what one does to
// it. Its processes end with it, and with the thread that made it: make it on one that outlives its use. Not
// thread-safe. Failures throw std::runtime_error with the members' last words.
class EtcdServer {
 public:
  // Starts it and waits until every member answers.
  explicit EtcdServer(EtcdServerOptions options = {});
  EtcdServer(const EtcdServer&) = delete;
  EtcdServer& operator=(const EtcdServer&) = delete;
  ~EtcdServer();

  // One for all tests of this program: one member, started at the first call, on the main thread. Its users keep to
  // keys of their own.
  static EtcdServer& shared();

  // The address on which this test program's servers listen: in 127.0.0.0/8, and no other test program's, so that
  // tests that run side by side never take each other's ports.
  static std::string address();

  // The members' URLs for clients: all with commas between, as in a setting; or one by one.
  std::string endpoints() const;
  std::vector<std::string> urls() const;

  std::size_t size() const { return members_.size(); }
  EtcdMember& member(std::size_t index) { return *members_.at(index); }

  // The index of the member that leads, found out from those that run. Waits until there is one.
  std::size_t leader();
  // That of some member that does not lead.
  std::size_t follower();

  // `etcdctl ARGUMENTS…` against the running members, without regard to its success. With authentication: as root.
  Ended try_etcdctl(const std::vector<std::string>& arguments, const std::string& input = "");
  // The same, which must succeed; returns what it printed.
  std::string etcdctl(const std::vector<std::string>& arguments, const std::string& input = "");

  // Whether that member answers a linearizable read within a second.
  bool answers(std::size_t member);

  // Turns authentication on, with users root and `user`. `user` may access the keys below `prefixes`; without any, all.
  void enable_authentication(const std::string& user, const std::string& password,
                             const std::vector<std::string>& prefixes = {});

  void disable_authentication();

  // Saves a snapshot of the first member; the first member begins again from it, alone. With the same token, which for
  // an etcd of one member makes the same cluster id; or as another cluster.
  enum class As { same_cluster, another_cluster };
  void save(const std::string& path);
  void restore(const std::string& path, As as = As::same_cluster);

  // Begins again with nothing, with the same names, addresses and token: so as the same cluster, to which it is
  // another.
  void wipe();

  // Takes a member out of the cluster, and puts a new one at its place.
  void replace(std::size_t member);

  // Ids of all leases that live, in hexadecimal, as etcdctl takes them.
  std::vector<std::string> leases();

  // The last lines of each member, for a test that fails.
  std::string logs() const;

 private:
  std::unique_ptr<EtcdMember> place_member(std::size_t index) const;
  void start_members();
  void wait_until_healthy();
  bool is_healthy();
  void learn_member_ids();
  std::vector<std::string> arguments_of(const EtcdMember& member) const;
  std::vector<std::string> etcdctl_arguments(const std::string& endpoints) const;
  std::string running_endpoints() const;
  std::optional<std::size_t> find_leader();

  EtcdServerOptions options_;
  TemporaryDirectory directory_;
  std::vector<std::unique_ptr<EtcdMember>> members_;
  std::string root_;  // "root:password" once authentication is on
};

}  // namespace sharedlock::test
