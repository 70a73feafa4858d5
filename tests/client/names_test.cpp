// Name servers that are slow or mute, and addresses that swallow what is sent to them: in a network of its own.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "client/canned_server.h"
#include "sharedlock/client.h"
#include "sharedlock/operations.h"
#include "support/network.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using client::BootClock;
using client::Client;
using client::ClientOptions;
using client::Errc;
using client::Operations;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;

constexpr auto kSlow = 2500ms;
constexpr char kTypeA = 1;
constexpr char kTypeAaaa = 28;

// A name server on 127.0.0.1. It answers late for slow.test, never for mute.test, and without IPv6 for half.test.
// hole.test also has an unreachable IPv6 address, lost.test only that.
class NameServer {
 public:
  NameServer() {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("bind");
    timeval soon{.tv_sec = 0, .tv_usec = 20'000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    thread_ = std::jthread([this](const std::stop_token& ended) { serve(ended); });
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  ~NameServer() {
    thread_ = {};
    late_.clear();
    ::close(socket_);
  }

 private:
  void serve(const std::stop_token& ended) {
    while (!ended.stop_requested()) {
      char query[512];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ssize_t read = ::recvfrom(socket_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (read > 12) answer(std::string(query, static_cast<std::size_t>(read)), from);
    }
  }

  void answer(const std::string& query, const sockaddr_in& to) {
    auto is_of = [&](const std::string& name) { return query.find(name) != std::string::npos; };
    std::size_t end = query.find('\0', 12) + 5;  // of the question: the name, its type and class
    char type = query[end - 3];
    if (is_of("mute") || (is_of("half") && type == kTypeAaaa)) return;
    std::string data;
    if (type == kTypeA && !is_of("lost")) data = std::string("\x7f\0\0\x01", 4);
    if (type == kTypeAaaa && (is_of("hole") || is_of("lost")))
      data = "\x20\x01\x0d\xb8" + std::string(11, '\0') + '\x01';
    std::string said = query.substr(0, 2) + std::string("\x81\x80\0\x01\0", 5) + (data.empty() ? '\0' : '\x01') +
                       std::string(4, '\0') + query.substr(12, end - 12);
    if (!data.empty()) {
      said +=
          std::string("\xc0\x0c\0", 3) + type + std::string("\0\x01\0\0\0\x3c\0", 7) + static_cast<char>(data.size());
      said += data;
    }
    auto send = [this, said, to] {
      ::sendto(socket_, said.data(), said.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    };
    if (!is_of("slow")) return send();
    late_.emplace_back([send] {
      std::this_thread::sleep_for(kSlow);  // real time: the name server's
      send();
    });
  }

  int socket_ = -1;
  std::vector<std::jthread> late_;
  std::jthread thread_;
};

class ClientNames : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    enter_own_network();
    if (::unshare(CLONE_NEWNS) != 0) throw std::runtime_error("can't make a mount namespace");
    TemporaryDirectory directory;
    std::string file = directory / "resolv.conf";
    std::ofstream(file) << "nameserver 127.0.0.1\noptions timeout:10 attempts:1\n";
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount(file.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0) throw std::runtime_error("mount");
    auto ended = run_program(
        {.program = "/bin/sh",
         .arguments = {"-ec",
                       "ip link add hole type veth peer name other; ip link set hole up; ip link set other up;"
                       "ip -6 addr add 2001:db8::2/64 dev hole nodad;"
                       "ip -6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev hole"},
         .environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}}});
    if (ended.exit_code != 0) throw std::runtime_error(ended.err);
  }

  ClientOptions at(const std::string& host) const {
    return ClientOptions("http://" + host + server.url().substr(server.url().rfind(':')));
  }
  // How long it takes to ask for a lock by that name.
  BootClock::duration time_to_ask(const std::string& host) const {
    Client client(at(host));
    auto begun = BootClock::now();
    auto state = Operations(client).get("default", "named");
    EXPECT_TRUE(state) << state.error().message;
    return BootClock::now() - begun;
  }

  NameServer names;
  CannedServer server{[](const std::string&) { return CannedServer::response(200, "{}"); }};
};

// Longer than one try: the lookup goes on, and serves the next.
TEST_F(ClientNames, ASlowNameServerIsWaitedFor) {
  EXPECT_THAT(time_to_ask("slow.test"), AllOf(Ge(kSlow), Le(kSlow + 2s)));
}

TEST_F(ClientNames, AnUnreachableAddressDelaysNothing) {
  EXPECT_THAT(time_to_ask("hole.test"), Le(1500ms));
}

TEST_F(ClientNames, AnAddressFamilyWithoutAnAnswerDelaysNothing) {
  EXPECT_THAT(time_to_ask("half.test"), Le(1500ms));
}

TEST_F(ClientNames, TheMessageSaysWhatWasSlow) {
  auto brief = [&](const std::string& host) {
    auto options = at(host).attempt_timeout(300ms).request_timeout(1ms);
    Client client(options);
    return Operations(client).get("default", "named").error();
  };
  EXPECT_EQ(brief("mute.test").code, Errc::unavailable);
  EXPECT_THAT(brief("mute.test").message, HasSubstr("looking up the name mute.test takes longer than"));
  EXPECT_THAT(brief("lost.test").message, HasSubstr("connecting to [2001:db8::1] takes longer than"));
}

TEST_F(ClientNames, ConnectTimeoutEndsAHangingConnect) {
  Client client(at("lost.test").attempt_timeout(20s).connect_timeout(1s).request_timeout(1ms));
  auto begun = BootClock::now();
  auto state = Operations(client).get("default", "named");
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().message, HasSubstr("connecting to [2001:db8::1] takes longer than 1s"));
  EXPECT_THAT(BootClock::now() - begun, AllOf(Ge(1s), Le(4s)));
}

TEST_F(ClientNames, AClientEndsEvenIfItsLookupDoesNot) {
  BootClock::time_point begun;
  {
    Client client(at("mute.test").attempt_timeout(300ms).request_timeout(1ms));
    EXPECT_FALSE(Operations(client).get("default", "named"));
    begun = BootClock::now();
  }
  EXPECT_THAT(BootClock::now() - begun, Le(1s));
}

}  // namespace
}  // namespace sharedlock::test
