// Where the server listens: IPv4, IPv6, both, and what it does on a machine without IPv6.
#include "http/listen.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <future>
#include <stdexcept>
#include <thread>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

// From now on this thread, and it alone, is told that there is no IPv6 when it asks for such a socket.
bool forbid_ipv6() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void listen_on(ServerOptions& options, const char* address) {
  options.address = address;
}

TEST(Listen, AnEmptyAddressListensOnBothFamilies) {
  TestServer server([](ServerOptions& options) { listen_on(options, ""); }, LogLevel::info);
  TestClient v4("127.0.0.1", server.port());
  EXPECT_EQ(v4.request("GET", "/hello").status, 200);
  TestClient v6("::1", server.port());
  EXPECT_EQ(v6.request("GET", "/hello").status, 200);
  EXPECT_TRUE(eventually([&] { return server.log_file.text().find("\"peer\":\"[::1]:") != std::string::npos; }));
  EXPECT_NE(server.log_file.text().find("\"peer\":\"127.0.0.1:"), std::string::npos) << "not ::ffff:127.0.0.1";
}

TEST(Listen, AnIpv6AddressListensOnIpv6Only) {
  for (const char* address : {"::1", "[::1]"}) {
    TestServer server([&](ServerOptions& options) { listen_on(options, address); });
    TestClient v6("::1", server.port());
    EXPECT_EQ(v6.request("GET", "/hello").status, 200);
    EXPECT_THROW(TestClient("127.0.0.1", server.port()), std::runtime_error);
  }
}

TEST(Listen, AnIpv4AddressListensOnIpv4Only) {
  TestServer server([](ServerOptions& options) { listen_on(options, "0.0.0.0"); });
  TestClient v4("127.0.0.1", server.port());
  EXPECT_EQ(v4.request("GET", "/hello").status, 200);
  EXPECT_THROW(TestClient("::1", server.port()), std::runtime_error);
}

TEST(Listen, NewHandshakesCanBeIgnored) {
  IoThreads threads(1);
  Acceptor acceptor(threads.executor(0));
  auto port = listen(acceptor, "127.0.0.1", 0);
  ASSERT_TRUE(port);
  TestClient let_in(*port);
  ASSERT_TRUE(ignore_new_handshakes(acceptor));
  auto late = std::async(std::launch::async, [&] { EXPECT_THROW(TestClient{*port}, std::runtime_error); });
  EXPECT_EQ(late.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout) << "neither let in nor refused";
  acceptor.non_blocking(true);
  boost::system::error_code failed;
  EXPECT_TRUE(acceptor.accept(failed).is_open()) << "who was there before";
  acceptor.accept(failed);
  EXPECT_EQ(failed, asio::error::would_block) << "nobody else";
  acceptor.close();
}

TEST(Listen, WithoutIpv6AnEmptyAddressListensOnIpv4) {
  TestServer base;
  std::uint16_t port = 0;
  bool forbidden = false;
  Server server({.address = "", .port = 0}, base.router, base.threads, base.clock, base.log);
  std::jthread([&] {
    forbidden = forbid_ipv6();
    auto started = server.start();
    EXPECT_FALSE(started.has_error()) << started.error().message;
    port = server.port();
  }).join();
  ASSERT_TRUE(forbidden);
  TestClient v4("127.0.0.1", port);
  EXPECT_EQ(v4.request("GET", "/hello").status, 200);
  EXPECT_THROW(TestClient("::1", port), std::runtime_error);
}

}  // namespace
}  // namespace sharedlock::http
