#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "api/api_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<boost::json::object> queues_of(const std::string& err) {
  std::vector<boost::json::object> queues;
  std::istringstream text(err);
  for (std::string queue; std::getline(text, queue);) queues.push_back(object_of(queue));
  return queues;
}

// A bit of everything, with secrets in it. Returns the secrets, and the ids of the requests in `ids`.
std::vector<std::string> use(const ServerProcess& server, std::set<std::string>* ids) {
  const std::string instance = "a-secret-instance-4711";
  const std::string acquire = R"({"instanceId":")" + instance + R"(","leaseDuration":60})";
  TestClient client = server.connect();
  auto ask = [&](const char* method, const std::string& target, const std::string& body) {
    auto response = client.request(method, target, body);
    ids->insert(response.header("X-Request-Id").value_or(""));
    return response.body;
  };
  std::string id = ask("POST", "/lease", R"({"key":"logged","value":"a-value-4712"})");
  ask("POST", "/lease", R"({"key":"logged"})");
  ask("POST", "/keepalive", id);
  ask("POST", "/keepalive", id + "x");
  ask("POST", "/keepalive?id=" + id, "12345");
  for (const char* what : {"acquire", "acquire", "renew"})
    ask("POST", std::string("/v1/space/lock/logged/") + what, acquire);
  ask("POST", "/v1/space/lock/logged/acquire", R"({"instanceId":"other-secret-4713","leaseDuration":60})");
  ask("POST", "/v1/space/lock/logged/acquire", acquire + "x");
  ask("GET", "/v1/space/lock/logged?instanceId=" + instance, "");
  ask("GET", "/nothing?instanceId=" + instance, "");
  ask("POST", "/v1/space/lock/logged/release", R"({"instanceId":")" + instance + R"("})");
  return {instance, id, "other-secret-4713", "a-value-4712"};
}

TEST(Log, InfoIsOneJsonLineForEachRequest) {
  ServerProcess server({.environment = ServerProcess::open_memory({{"SHARED_LOCK_LOG", "info"}})});
  std::set<std::string> ids;
  use(server, &ids);
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.stop(), 0);

  std::set<std::string> logged;
  for (const auto& queue : queues_of(server.err())) {
    EXPECT_TRUE(queue.contains("time") && queue.contains("level") && queue.contains("msg"));
    if (queue.at("msg") != "request") continue;
    EXPECT_EQ(queue.at("level"), "info");
    EXPECT_TRUE(queue.contains("method") && queue.contains("status") && queue.contains("ms") && queue.contains("peer"));
    EXPECT_NE(queue.at("path"), "/health") << "not worth a line";
    EXPECT_TRUE(logged.insert(std::string(queue.at("id").as_string())).second) << "a second line for one request";
  }
  EXPECT_EQ(logged, ids);
  EXPECT_EQ(server.process().out(), "");
}

TEST(Log, HoldsNoSecretsAtAnyLevel) {
  for (const char* level : {"debug", "info", "warn"}) {
    ServerProcess server({.environment = ServerProcess::open_memory({{"SHARED_LOCK_LOG", level}})});
    std::set<std::string> ids;
    auto secrets = use(server, &ids);
    EXPECT_EQ(server.stop(), 0);
    for (const std::string& secret : secrets) EXPECT_THAT(server.err(), Not(HasSubstr(secret))) << level;
  }
}

TEST(Log, WarnHasNoLineForRequests) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  std::set<std::string> ids;
  use(server, &ids);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.err(), Not(HasSubstr(R"("msg":"request")")));
}

// --- stderr that takes nothing -------------------------------------------------------------------------------------

// The port that a process listens on (IPv4), as the kernel tells it: for one that can't say so itself.
std::optional<std::uint16_t> listening_port(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  std::set<std::string> sockets;
  std::error_code gone;
  for (const auto& file : std::filesystem::directory_iterator(proc + "/fd", gone)) {
    sockets.insert(std::filesystem::read_symlink(file.path(), gone).string());
  }
  std::ifstream table(proc + "/net/tcp");
  std::string queue;
  std::getline(table, queue);
  while (std::getline(table, queue)) {
    std::istringstream words(queue);
    std::array<std::string, 10> fields;  // slot, local, remote, state, ..., inode
    for (std::string& field : fields) words >> field;
    if (fields[3] != "0A" || !sockets.contains("socket:[" + fields[9] + "]")) continue;
    return static_cast<std::uint16_t>(std::stoul(fields[1].substr(fields[1].find(':') + 1), nullptr, 16));
  }
  return std::nullopt;
}

ProcessOptions chatty_server(int stderr_to) {
  return {.arguments = {"serve", "--port", "0"},
          .environment = ServerProcess::open_memory({{"SHARED_LOCK_LOG", "info"}}),
          .stderr_to = stderr_to};
}

// More log lines than a small pipe takes, so that the log is surely stuck in it.
void ask_often(std::uint16_t port) {
  TestClient client(port);
  for (int i = 0; i < 1'000; ++i) {
    auto response = client.request("GET", "/v1/space/lock/stuck");
    ASSERT_EQ(response.body, R"({"namespace":"space","lockName":"stuck"})");
  }
}

TEST(Log, AClosedStderrHoldsNothingUp) {
  Process process(chatty_server(-1));
  std::optional<std::uint16_t> port;
  ASSERT_TRUE(eventually([&] { return (port = listening_port(process.pid())).has_value(); }));
  ask_often(*port);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

// With descriptor 2 free, the next file that the server opens would get that number, and have the log written into it.
TEST(Log, AClosedStderrIsNotTakenByAnotherFile) {
  Process process(chatty_server(-1));
  ASSERT_TRUE(eventually([&] { return listening_port(process.pid()).has_value(); }));
  std::error_code none;
  auto file = std::filesystem::read_symlink("/proc/" + std::to_string(process.pid()) + "/fd/2", none);
  EXPECT_TRUE(none || file == "/dev/null") << file;
}

// A pipe that the server writes its log into.
class LogPipe {
 public:
  LogPipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("pipe2");
    ::fcntl(ends_[1], F_SETPIPE_SZ, 4096);
    ::fcntl(ends_[1], F_SETFL, 0);  // the server's end blocks
  }
  ~LogPipe() {
    close_end(0);
    close_end(1);
  }
  int writing_end() const { return ends_[1]; }
  void close_end(std::size_t which) {
    if (ends_[which] >= 0) ::close(ends_[which]);
    ends_[which] = -1;
  }
  std::uint16_t read_port() {
    std::string text;
    std::optional<std::uint16_t> port;
    bool found = eventually([&] {
      char buffer[4096];
      ssize_t got = ::read(ends_[0], buffer, sizeof buffer);
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      return (port = serving_port(text)).has_value();
    });
    if (!found) throw std::runtime_error("the server does not serve: " + text);
    return *port;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST(Log, AFullPipeHoldsNoRequestUp) {
  LogPipe pipe;
  Process process(chatty_server(pipe.writing_end()));
  ask_often(pipe.read_port());
}

TEST(Log, AFullPipeDoesNotHoldUpTheEnd) {
  LogPipe pipe;
  Process process(chatty_server(pipe.writing_end()));
  ask_often(pipe.read_port());
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(std::chrono::seconds(10)), 0);
}

TEST(Log, APipeWithoutAReaderIsHarmless) {
  LogPipe pipe;
  Process process(chatty_server(pipe.writing_end()));
  pipe.close_end(1);
  std::uint16_t port = pipe.read_port();
  pipe.close_end(0);
  ask_often(port);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

}  // namespace
}  // namespace sharedlock::test
