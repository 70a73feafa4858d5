#include "support/etcd_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

constexpr std::chrono::seconds kStart{30};
constexpr const char* kRootPassword = "root-password";

sockaddr_in socket_address(const std::string& address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

bool is_free(const std::string& address, std::uint16_t port) {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in wanted = socket_address(address, port);
  bool free = ::bind(socket, reinterpret_cast<const sockaddr*>(&wanted), sizeof wanted) == 0;
  ::close(socket);
  return free;
}

// Below the ports that the kernel gives to connections; nobody else listens on our address.
std::uint16_t free_port(const std::string& address) {
  static std::uint16_t next = 20000;
  while (next < 30000) {
    if (is_free(address, next++)) return static_cast<std::uint16_t>(next - 1);
  }
  throw std::runtime_error("no free port on " + address);
}

std::string url(const std::string& scheme, const std::string& address, std::uint16_t port) {
  return scheme + "://" + address + ":" + std::to_string(port);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ",") + part;
  return all;
}

// How etcdctl shows member and lease ids.
std::uint64_t id_of(const boost::json::value& number) {
  return number.is_uint64() ? number.as_uint64() : static_cast<std::uint64_t>(number.as_int64());
}

}  // namespace

EtcdMember::EtcdMember(std::string name, EtcdPlace place, std::string client_url, std::string peer_url)
    : name_(std::move(name)),
      place_(std::move(place)),
      client_url_(std::move(client_url)),
      peer_url_(std::move(peer_url)) {}

void EtcdMember::spawn() {
  stopped_ = false;
  std::vector<std::string> command = place_.launcher;
  command.emplace_back(SHAREDLOCK_ETCD);
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  ProcessOptions options{.program = command.front(), .arguments = {command.begin() + 1, command.end()}};
  process_ = std::make_unique<Process>(options);
}

bool EtcdMember::serves() const {
  return process_->err().find("serving client traffic") != std::string::npos;
}

void EtcdMember::kill() {
  process_->signal(SIGKILL);
  process_->wait();
}

void EtcdMember::stop() {
  process_->stop();
  stopped_ = true;
}

void EtcdMember::resume() {
  process_->resume();
  stopped_ = false;
}

void EtcdMember::start() {
  spawn();
  if (!eventually([this] { return serves() || !running(); }, kStart) || !running()) {
    throw std::runtime_error("etcd does not start again:\n" + log());
  }
}

std::string EtcdMember::log(std::size_t lines) const {
  std::string text = process_ ? process_->err() : "";
  std::size_t begin = text.size();
  for (std::size_t i = 0; i <= lines && begin != std::string::npos && begin > 0; ++i)
    begin = text.rfind('\n', begin - 1);
  return name_ + ":\n" + (begin == std::string::npos ? text : text.substr(begin));
}

EtcdServer::EtcdServer(EtcdServerOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.members; ++i) members_.push_back(place_member(i));
  start_members();
  wait_until_healthy();
  learn_member_ids();
}

EtcdServer::~EtcdServer() = default;

std::unique_ptr<EtcdMember> EtcdServer::place_member(std::size_t index) const {
  EtcdPlace place{.client_address = address(), .peer_address = address(), .launcher = {}};
  if (!options_.places.empty()) place = options_.places.at(index);
  std::uint16_t port = options_.client_port > 0 ? options_.client_port : free_port(address());
  std::string client = url(options_.tls ? "https" : "http", place.client_address, port);
  // Between members there is no TLS: it is not what is tested.
  std::string peer = url("http", place.peer_address, free_port(address()));
  return std::make_unique<EtcdMember>("member-" + std::to_string(index), std::move(place), client, peer);
}

EtcdServer& EtcdServer::shared() {
  static EtcdServer server;
  return server;
}

std::string EtcdServer::address() {
  auto pid = static_cast<std::uint32_t>(::getpid());
  in_addr address{.s_addr = htonl((127U << 24) | ((pid << 2) & 0xFFFFFF) | 2)};
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

std::vector<std::string> EtcdServer::urls() const {
  std::vector<std::string> all;
  for (const auto& member : members_) all.push_back(member->url());
  return all;
}

std::string EtcdServer::endpoints() const {
  return joined(urls());
}

void EtcdServer::start_members() {
  for (const auto& member : members_) {
    member->arguments_ = arguments_of(*member);
    member->spawn();
  }
}

std::vector<std::string> EtcdServer::arguments_of(const EtcdMember& member) const {
  std::vector<std::string> cluster;
  for (const auto& each : members_) cluster.push_back(each->name() + "=" + each->peer_url());
  std::vector<std::string> arguments{"--name",
                                     member.name(),
                                     "--data-dir",
                                     (directory_ / member.name()).string(),
                                     "--listen-client-urls",
                                     member.url(),
                                     "--advertise-client-urls",
                                     member.url(),
                                     "--listen-peer-urls",
                                     member.peer_url(),
                                     "--initial-advertise-peer-urls",
                                     member.peer_url(),
                                     "--initial-cluster",
                                     joined(cluster),
                                     "--initial-cluster-token",
                                     directory_.path().filename().string(),
                                     "--election-timeout",
                                     std::to_string(options_.election_timeout.count()),
                                     "--heartbeat-interval",
                                     std::to_string(options_.election_timeout.count() / 10),
                                     "--logger",
                                     "zap",
                                     "--log-outputs",
                                     "stderr"};
  if (options_.quota_bytes > 0)
    arguments.insert(arguments.end(), {"--quota-backend-bytes", std::to_string(options_.quota_bytes)});
  if (options_.tls) {
    arguments.insert(arguments.end(), {"--cert-file", options_.tls->certificate, "--key-file", options_.tls->key,
                                       "--trusted-ca-file", options_.tls->ca, "--client-cert-auth"});
  }
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  return arguments;
}

void EtcdServer::wait_until_healthy() {
  bool ended = false;
  bool healthy = eventually(
      [&] {
        ended = !std::ranges::all_of(members_, [](const auto& member) { return member->running(); });
        return ended ||
               (std::ranges::all_of(members_, [](const auto& member) { return member->serves(); }) && is_healthy());
      },
      kStart);
  if (!healthy || ended) throw std::runtime_error("etcd does not start:\n" + logs());
}

bool EtcdServer::is_healthy() {
  return try_etcdctl({"--command-timeout=1s", "endpoint", "health"}).exit_code == 0;
}

void EtcdServer::learn_member_ids() {
  for (const auto& member : members_) {
    auto arguments = etcdctl_arguments(member->url());
    arguments.insert(arguments.end(), {"endpoint", "status", "-w", "json"});
    auto status = run_program({.program = SHAREDLOCK_ETCDCTL, .arguments = arguments});
    member->id_ = id_of(boost::json::parse(status.out).at(0).at("Status").at("header").at("member_id"));
  }
}

std::optional<std::size_t> EtcdServer::find_leader() {
  for (const auto& member : members_) {
    if (!member->running() || member->stopped_) continue;
    auto arguments = etcdctl_arguments(member->url());
    arguments.insert(arguments.end(), {"--command-timeout=1s", "endpoint", "status", "-w", "json"});
    auto status = run_program({.program = SHAREDLOCK_ETCDCTL, .arguments = arguments});
    if (status.exit_code != 0) continue;
    const auto answer = boost::json::parse(status.out);
    const auto* leader = answer.at(0).at("Status").as_object().if_contains("leader");
    for (std::size_t i = 0; leader && i < members_.size(); ++i) {
      bool alive = members_[i]->running() && !members_[i]->stopped_;
      if (alive && members_[i]->id() == id_of(*leader)) return i;
    }
  }
  return std::nullopt;
}

std::size_t EtcdServer::leader() {
  std::optional<std::size_t> found;
  if (!eventually([&] { return (found = find_leader()).has_value(); }, kStart)) {
    throw std::runtime_error("etcd has no leader:\n" + logs());
  }
  return *found;
}

std::size_t EtcdServer::follower() {
  return (leader() + 1) % members_.size();
}

std::string EtcdServer::running_endpoints() const {
  std::vector<std::string> running;
  for (const auto& member : members_) {
    if (member->running() && !member->stopped_) running.push_back(member->url());
  }
  return joined(running);
}

std::vector<std::string> EtcdServer::etcdctl_arguments(const std::string& endpoints) const {
  std::vector<std::string> arguments{"--endpoints", endpoints};
  if (options_.tls) {
    arguments.insert(arguments.end(), {"--cacert", options_.tls->ca, "--cert", options_.tls->client_certificate,
                                       "--key", options_.tls->client_key});
  }
  if (!root_.empty()) arguments.insert(arguments.end(), {"--user", root_});
  return arguments;
}

Ended EtcdServer::try_etcdctl(const std::vector<std::string>& arguments, const std::string& input) {
  auto all = etcdctl_arguments(running_endpoints());
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_program(
      {.program = SHAREDLOCK_ETCDCTL, .arguments = all, .input = input, .environment = {{"ETCDCTL_API", "3"}}});
}

std::string EtcdServer::etcdctl(const std::vector<std::string>& arguments, const std::string& input) {
  auto ended = try_etcdctl(arguments, input);
  if (ended.exit_code == 0) return ended.out;
  std::string words;
  for (const std::string& argument : arguments) words += " " + argument;
  throw std::runtime_error("etcdctl" + words + ": " + ended.err + "\n" + logs());
}

bool EtcdServer::answers(std::size_t member) {
  auto arguments = etcdctl_arguments(members_.at(member)->url());
  arguments.insert(arguments.end(), {"--dial-timeout=1s", "--command-timeout=1s", "get", "key"});
  return run_program({.program = SHAREDLOCK_ETCDCTL, .arguments = arguments}).exit_code == 0;
}

void EtcdServer::enable_authentication(const std::string& user, const std::string& password,
                                       const std::vector<std::string>& prefixes) {
  etcdctl({"user", "add", std::string("root:") + kRootPassword});
  etcdctl({"user", "grant-role", "root", "root"});
  etcdctl({"user", "add", user + ":" + password});
  etcdctl({"role", "add", "service"});
  if (prefixes.empty()) etcdctl({"role", "grant-permission", "service", "readwrite", "--from-key", ""});
  for (const std::string& prefix : prefixes) {
    etcdctl({"role", "grant-permission", "service", "--prefix=true", "readwrite", prefix});
  }
  etcdctl({"user", "grant-role", user, "service"});
  etcdctl({"auth", "enable"});
  root_ = std::string("root:") + kRootPassword;
}

void EtcdServer::disable_authentication() {
  etcdctl({"auth", "disable"});
  root_.clear();
}

void EtcdServer::save(const std::string& path) {
  auto arguments = etcdctl_arguments(members_.at(0)->url());
  arguments.insert(arguments.end(), {"snapshot", "save", path});
  auto saved = run_program({.program = SHAREDLOCK_ETCDCTL, .arguments = arguments});
  if (saved.exit_code != 0) throw std::runtime_error("etcdctl snapshot save: " + saved.err + "\n" + logs());
}

void EtcdServer::restore(const std::string& path, As as) {
  std::string token = directory_.path().filename().string();
  if (as == As::another_cluster) token += "-restored";
  EtcdMember& member = *members_.at(0);
  for (const auto& each : members_) {
    if (each->running()) each->kill();
  }
  const std::string data = (directory_ / member.name()).string();
  std::filesystem::remove_all(data);
  auto restored = run_program(
      {.program = SHAREDLOCK_ETCDCTL,
       .arguments = {"snapshot", "restore", path, "--data-dir", data, "--name", member.name(), "--initial-cluster",
                     member.name() + "=" + member.peer_url(), "--initial-advertise-peer-urls", member.peer_url(),
                     "--initial-cluster-token", token}});
  if (restored.exit_code != 0) throw std::runtime_error("etcdctl snapshot restore: " + restored.err);
  member.start();
  if (!eventually([this] { return is_healthy(); }, kStart)) throw std::runtime_error("etcd does not start:\n" + logs());
}

void EtcdServer::wipe() {
  for (const auto& member : members_) {
    if (member->running()) member->kill();
    std::filesystem::remove_all(directory_ / member->name());
  }
  start_members();
  wait_until_healthy();
}

void EtcdServer::replace(std::size_t index) {
  EtcdMember& member = *members_.at(index);
  char id[17];
  std::snprintf(id, sizeof id, "%llx", static_cast<unsigned long long>(member.id()));
  member.kill();
  // Both are refused until etcd has found the others healthy for long enough.
  Ended removed;
  bool gone = eventually(
      [&] {
        removed = try_etcdctl({"member", "remove", id});
        return removed.exit_code == 0 || removed.err.find("member not found") != std::string::npos;
      },
      kStart);
  if (!gone) throw std::runtime_error("etcdctl member remove: " + removed.err);
  std::filesystem::remove_all(directory_ / member.name());
  Ended added;
  bool taken = eventually(
      [&] {
        added = try_etcdctl({"member", "add", member.name(), "--peer-urls=" + member.peer_url()});
        return added.exit_code == 0;
      },
      kStart);
  if (!taken) throw std::runtime_error("etcdctl member add: " + added.err);
  member.arguments_.insert(member.arguments_.end(), {"--initial-cluster-state", "existing"});
  member.start();
  wait_until_healthy();
  learn_member_ids();
}

std::vector<std::string> EtcdServer::leases() {
  std::istringstream lines(etcdctl({"lease", "list"}));
  std::string line;
  std::getline(lines, line);  // "found N leases"
  std::vector<std::string> ids;
  while (std::getline(lines, line)) ids.push_back(line);
  return ids;
}

std::string EtcdServer::logs() const {
  std::string all;
  for (const auto& member : members_) all += member->log() + "\n";
  return all;
}

}  // namespace sharedlock::test
