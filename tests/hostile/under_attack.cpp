#include "hostile/under_attack.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

std::string proc(pid_t process, const char* name) {
  return "/proc/" + std::to_string(process) + "/" + name;
}

// Of a line such as "VmHWM:     5184 kB".
std::size_t status_bytes(pid_t process, std::string_view name) {
  std::ifstream status(proc(process, "status"));
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(name)) return std::stoul(line.substr(name.size() + 1)) * 1024;
  }
  throw std::runtime_error("no " + std::string(name) + " of process " + std::to_string(process));
}

template <class Predicate>
std::size_t count_files(pid_t process, Predicate counts) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(proc(process, "fd"))) {
    std::error_code gone;  // a descriptor may be closed while we look
    auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone && counts(target.string())) ++count;
  }
  return count;
}

}  // namespace

std::size_t open_files(pid_t process) {
  return count_files(process, [](const std::string&) { return true; });
}

std::size_t open_sockets(pid_t process) {
  return count_files(process, [](const std::string& target) { return target.starts_with("socket:"); });
}

std::size_t resident_bytes(pid_t process) {
  return status_bytes(process, "VmRSS");
}

std::size_t most_resident_bytes(pid_t process) {
  return status_bytes(process, "VmHWM");
}

UnderAttack::UnderAttack(const Environment& more)
    : server_({.environment = ServerProcess::open_memory(more)}), listening_(0), memory_(0) {
  EXPECT_EQ(ask("GET", "/health").status, 200);
  EXPECT_EQ(ask("GET", "/metrics").status, 200);
  EXPECT_TRUE(eventually([this] { return open_sockets(pid()) == 1; })) << "only the one that listens";
  listening_ = open_sockets(pid());
  memory_ = most_resident_bytes(pid());
}

void UnderAttack::TearDown() {
  EXPECT_EQ(ask("GET", "/health").status, 200);
  EXPECT_EQ(ask("POST", "/lease", R"({"key":"afterwards"})").status, 201);
  EXPECT_TRUE(eventually_connections(0)) << connections();
  EXPECT_EQ(server_.stop(), 0) << server_.err();
}

bool UnderAttack::eventually_connections(std::size_t count) {
  return eventually([&] { return connections() == count; });
}

void UnderAttack::expect_memory_grew_no_more_than(std::size_t bytes) {
  constexpr std::size_t kKeptBySanitizers = 400 << 20;
  std::size_t grown = most_resident_bytes(pid()) - memory_;
  testing::Test::RecordProperty("bytes", static_cast<int>(grown));
  EXPECT_LE(grown, kFullSpeed ? bytes : kKeptBySanitizers);
}

void expect_one_answer_and_close(TestClient client, std::string_view bytes, int status) {
  client.send_until_closed(bytes);
  auto response = client.read_response();
  EXPECT_EQ(response.status, status);
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "") << "nothing behind the answer";
}

}  // namespace sharedlock::test
