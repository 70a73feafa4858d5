#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// A properties file that is gone with the object.
class PropertiesFile {
 public:
  explicit PropertiesFile(const std::string& text)
      : name_(testing::TempDir() + "shared-lock-" + std::to_string(::getpid()) + ".properties") {
    std::ofstream(name_) << text;
  }
  ~PropertiesFile() { ::unlink(name_.c_str()); }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

Ended serve_with(const Environment& environment, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"serve", "--port", "0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program({.arguments = arguments, .environment = environment});
}

TEST(Serve, WithoutEtcdItServesAndSaysWhatIsMissing) {
  for (const Environment& more : {Environment{}, Environment{{"SHARED_LOCK_STORAGE_TYPE", "etcd"}}}) {
    Environment environment = more;
    environment["SHARED_LOCK_ETCD_ADDR_LIST"] = "http://127.0.0.1:1";
    environment["AUTHENTICATION_DISABLED"] = "true";
    ServerProcess server({.environment = environment});
    EXPECT_EQ(server.ask("GET", "/health").status, 200);
    auto ready = server.ask("GET", "/ready");
    EXPECT_EQ(ready.status, 503);
    EXPECT_THAT(ready.body, HasSubstr("etcd does not answer at http://127.0.0.1:1: "));
    EXPECT_THAT(ready.body, HasSubstr("for one machine without etcd, set SHARED_LOCK_STORAGE_TYPE=embedded"));
    EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"value"})").status, 500);
    EXPECT_EQ(server.stop(), 0);
  }
}

TEST(Serve, MockIsMemory) {
  ServerProcess server({.environment = ServerProcess::open_memory({{"SHARED_LOCK_STORAGE_TYPE", "mock"}})});
  EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"value"})").status, 201);
  EXPECT_EQ(server.stop(), 0);
}

TEST(Serve, DoesNotRunOpenWhenItWasToldToCheckTokens) {
  for (const auto& [name, value] : Environment{{"JWT_ISSUER", "https://issuer.example"},
                                               {"JWT_JWKS", "https://issuer.example/keys"},
                                               {"JWT_AUDIENCE", "locks"}}) {
    auto ended = serve_with(ServerProcess::open_memory({{name, value}}));
    EXPECT_EQ(ended.exit_code, 2) << name;
    EXPECT_THAT(ended.err, HasSubstr("jwt.issuer")) << name;
  }
}

TEST(Serve, SettingsThatDontParseAreNamed) {
  for (const auto& [name, value] : Environment{{"SHARED_LOCK_SERVER_READ_TIMEOUT", "soon"},
                                               {"SHARED_LOCK_SERVER_IDLE_TIMEOUT", "-5s"},
                                               {"SHARED_LOCK_STORAGE_TYPE", "postgres"},
                                               {"SHARED_LOCK_CACHE_SIZE", "many"},
                                               {"SHARED_LOCK_CACHE_ENABLED", "perhaps"},
                                               {"SHARED_LOCK_LOG", "loud"},
                                               {"SHARED_LOCK_MAX_LEASE_TTL", "9000000001s"},
                                               {"SHARED_LOCK_SERVER_ADDRESS", "localhost:80"},
                                               {"LOCKER_ETCD_MAX_RETRIES", "three"},
                                               {"LOCKER_ETCD_REQUESTTIMEOUTMS", "5s"},
                                               {"AUTHENTICATION_DISABLED", "maybe"}}) {
    auto ended = serve_with(ServerProcess::open_memory({{name, value}}));
    EXPECT_EQ(ended.exit_code, 2) << name;
    EXPECT_THAT(ended.err, StartsWith("shared-lock: " + name + ": \"" + value + "\" must be ")) << name;
    EXPECT_EQ(ended.out, "");
  }
}

TEST(Serve, APortFromKubernetesServiceLinksIsExplained) {
  auto ended =
      run_program({.arguments = {"serve"},
                   .environment = ServerProcess::open_memory({{"SHARED_LOCK_SERVER_PORT", "tcp://10.0.0.1:8080"}})});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("SHARED_LOCK_SERVER_PORT"), HasSubstr("enableServiceLinks: false")));
}

TEST(Serve, FlagsThatDontParseAreExitCode2) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--log", "loud"},
                                               {"--no-such-flag"},
                                               {"--config", "/no/such/file"},
                                               {"--config", "/"},
                                               {"--threads"}}) {
    auto ended = serve_with(ServerProcess::open_memory(), more);
    EXPECT_EQ(ended.exit_code, 2) << more.front();
    EXPECT_THAT(ended.err, HasSubstr(more.front()));
    EXPECT_EQ(ended.out, "");
  }
}

TEST(Serve, AnUnknownKeyOfOursIsExitCode2WithTheNearestName) {
  PropertiesFile file("locker.etcd.keyPrefix=x/\nlocker.etcd.maxRetrys=3\n");
  auto ended = serve_with(ServerProcess::open_memory(), {"--config", file.name()});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("locker.etcd.maxRetrys: there is no such setting; did you mean "
                                   "locker.etcd.maxRetries?"));
}

TEST(Serve, KeysOfOtherProgramsAreOnlyAWarning) {
  PropertiesFile file("spring.application.name=lock-service\nlogging.level.root=INFO\n");
  ServerProcess server({.arguments = {"--config", file.name()}, .environment = ServerProcess::open_memory()});
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.err(), AllOf(HasSubstr(R"("level":"warn")"), HasSubstr("spring.application.name")));
}

// As the documentation of the replaced Java service shows it.
constexpr char kExampleProperties[] = R"(# etcd endpoints (comma-separated for cluster)
locker.etcd.endpoints=http://etcd-1:2379,http://etcd-2:2379,http://etcd-3:2379

# Key prefix
locker.etcd.keyPrefix=myapp/locks/

# Timeouts
locker.etcd.requestTimeoutMs=10000
locker.etcd.maxRetries=5

# TLS (optional)
locker.etcd.tls.enabled=true
locker.etcd.tls.caCertPath=/etc/ssl/etcd/ca.pem
locker.etcd.tls.clientCertPath=/etc/ssl/etcd/client.pem
locker.etcd.tls.clientKeyPath=/etc/ssl/etcd/client-key.pem

# Authentication (optional)
locker.etcd.auth.username=lockservice
locker.etcd.auth.password=secret
)";

TEST(Serve, TheExampleOfTheJavaServiceServes) {
  PropertiesFile file(kExampleProperties);
  ServerProcess server({.arguments = {"--config", file.name()}, .environment = ServerProcess::open_memory()});
  EXPECT_EQ(server.ask("POST", "/v1/space/lock/abc/acquire", R"({"instanceId":"abc","leaseDuration":60})").status, 200);
  EXPECT_EQ(server.stop(), 0);
}

TEST(Config, PrintsTheExampleOfTheJavaServiceWithoutItsPassword) {
  PropertiesFile file(kExampleProperties);
  auto ended = run_program({.arguments = {"config", "--config", file.name()}});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  for (const char* value : {"http://etcd-1:2379,http://etcd-2:2379,http://etcd-3:2379", "myapp/locks/", "10000",
                            "/etc/ssl/etcd/client-key.pem", "lockservice", "(secret)"}) {
    EXPECT_THAT(ended.out, HasSubstr(value));
  }
  EXPECT_THAT(ended.out, MatchesRegex("(.|\n)*locker.etcd.maxRetries +5 +file (.|\n)*"));
  EXPECT_THAT(ended.out, Not(HasSubstr(" secret")));
}

TEST(Config, PrintsWhereEachSettingComesFrom) {
  auto ended =
      run_program({.arguments = {"config", "--port", "1234"},
                   .environment = {{"SHARED_LOCK_STORAGE_TYPE", "mock"}, {"LOCKER_ETCD_AUTH_PASSWORD", "hidden"}}});
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out, MatchesRegex("(.|\n)*server.port +1234 +flag --port\n(.|\n)*"));
  EXPECT_THAT(ended.out,
              MatchesRegex("(.|\n)*shared-lock.storage.type +memory +environment SHARED_LOCK_STORAGE_TYPE\n(.|\n)*"));
  EXPECT_THAT(ended.out, HasSubstr("(secret)"));
  EXPECT_THAT(ended.out, Not(HasSubstr("hidden")));
}

TEST(Config, IsExitCode2WhenSettingsDontParse) {
  auto ended = run_program({.arguments = {"config"}, .environment = {{"SHARED_LOCK_SERVER_PORT", "http"}}});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("SHARED_LOCK_SERVER_PORT"));
  EXPECT_EQ(ended.out, "");
}

TEST(CommandLine, ResultsAreOnStdoutWithExitCode0) {
  struct Row {
    std::vector<std::string> arguments;
    std::string out;
  };
  for (const auto& [arguments, out] :
       {Row{{"version"}, "shared-lock "}, Row{{"config", "--markdown"}, "# Configuration"}, Row{{"--help"}, "serve"},
        Row{{"serve", "--help"}, "--port"}, Row{{"config", "--help"}, "--markdown"},
        Row{{"health", "--help"}, "--port"}}) {
    auto ended = run_program({.arguments = arguments});
    EXPECT_EQ(ended.exit_code, 0) << out;
    EXPECT_THAT(ended.out, HasSubstr(out));
    EXPECT_EQ(ended.err, "");
  }
  EXPECT_THAT(run_program({.arguments = {"version"}}).out, MatchesRegex("shared-lock [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, MistakesAreExitCode64AndOfTheServersSettings2) {
  auto expect = [](std::vector<std::string> arguments, int code) {
    auto ended = run_program({.arguments = std::move(arguments)});
    EXPECT_EQ(ended.exit_code, code);
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err, "");
  };
  expect({}, 64);
  expect({"nonsense"}, 64);
  expect({"version", "--port", "1"}, 64);
  expect({"serve", "nonsense"}, 2);
  expect({"config", "--nonsense"}, 2);
}

TEST(Health, Is0AgainstAServingServer) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  auto ended = run_program(
      {.arguments = {"health"}, .environment = {{"SHARED_LOCK_SERVER_PORT", std::to_string(server.port())}}});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
}

TEST(Health, Is1WhereASettingMakesNoSense) {
  auto ended = run_program({.arguments = {"health"}, .environment = {{"SHARED_LOCK_SERVER_PORT", "tcp://10.0.0.1:1"}}});
  EXPECT_EQ(ended.exit_code, 1) << "Docker knows 0 and 1";
  EXPECT_THAT(ended.err, HasSubstr("SHARED_LOCK_SERVER_PORT"));
}

// A socket on a free port of loopback, and that port.
struct Bound {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string port;

  Bound() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = std::to_string(ntohs(address.sin_port));
  }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  ~Bound() { ::close(socket); }
};

TEST(Health, Is1AgainstNothing) {
  Bound taken;  // so that nobody else serves there
  auto ended = run_program({.arguments = {"health", "--port", taken.port}});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, StartsWith("shared-lock: no answer from 127.0.0.1 port " + taken.port + ": "));
  EXPECT_EQ(ended.out, "");
}

// "no answer: Success" would contradict itself.
TEST(Health, Is1AgainstSomethingThatIsNotAnHttpServer) {
  Bound taken;
  ASSERT_EQ(::listen(taken.socket, 1), 0);
  std::thread greeter([&] {
    int client = ::accept(taken.socket, nullptr, nullptr);
    char request[256];
    ssize_t got = ::recv(client, request, sizeof request, 0);
    constexpr std::string_view kGreeting = "220 mail.example.com ESMTP\r\n";
    if (got > 0) ::send(client, kGreeting.data(), kGreeting.size(), MSG_NOSIGNAL);
    ::close(client);
  });
  auto ended = run_program({.arguments = {"health", "--port", taken.port}});
  greeter.join();
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.err, "shared-lock: 127.0.0.1 port " + taken.port + " answers, but not in HTTP\n");
}

}  // namespace
}  // namespace sharedlock::test
