// Connections that the server resets: an answer that it sent before counts.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <future>
#include <stdexcept>
#include <string>

#include "client/canned_server.h"
#include "sharedlock/client.h"
#include "sharedlock/operations.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using client::Client;
using client::ClientOptions;
using client::Errc;
using client::Operations;

// Accepts one connection after another, as the test says. Its buffer for unread bytes is small.
class ServerByHand {
 public:
  ServerByHand() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int little = 4096;
    bool listens = ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0 &&
                   ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                   ::listen(listener_, 16) == 0 &&
                   ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (!listens) throw std::runtime_error("can't listen");
    port_ = ntohs(address.sin_port);
  }
  ServerByHand(const ServerByHand&) = delete;
  ServerByHand& operator=(const ServerByHand&) = delete;
  ~ServerByHand() {
    ::close(connection_);
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // The next connection, in place of the one before; false: none comes.
  bool accept(std::chrono::milliseconds limit = 10s) {
    pollfd coming{listener_, POLLIN, 0};
    if (::poll(&coming, 1, static_cast<int>(limit.count())) != 1) return false;
    ::close(connection_);
    connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connection_ >= 0;
  }
  // What has arrived of a request: at least its head. Nothing: none comes, as on a connection that is kept in reserve.
  std::string read() const {
    std::string request;
    std::array<char, 1000> piece{};
    while (request.find("\r\n\r\n") == std::string::npos) {
      ssize_t size = ::recv(connection_, piece.data(), piece.size(), 0);
      if (size <= 0) break;
      request.append(piece.data(), static_cast<std::size_t>(size));
    }
    return request;
  }
  void say(const std::string& text) const { ::send(connection_, text.data(), text.size(), MSG_NOSIGNAL); }
  void reset() const {
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;
    EXPECT_EQ(::connect(connection_, &nowhere, sizeof nowhere), 0);
  }

 private:
  int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int connection_ = -1;
  std::uint16_t port_ = 0;
};

// Larger than all buffers between the two: Linux gives a socket 4 MiB at most by default.
std::string large() {
  return std::string(std::size_t{8} << 20, 'x');
}

TEST(ClientResets, AnAnswerBeforeTheWholeRequestWasReadIsHeard) {
  ServerByHand server;
  Client client{ClientOptions(server.url())};
  auto asked = std::async(std::launch::async, [&] { return Operations(client).grant("key", large(), 5s); });
  ASSERT_TRUE(server.accept());
  EXPECT_THAT(server.read(), testing::HasSubstr("/lease"));
  server.say(CannedServer::response(413, "too large", "Connection: close\r\n"));
  server.reset();
  auto answer = asked.get();
  ASSERT_TRUE(answer.has_error());
  EXPECT_EQ(answer.error().code, Errc::refused);
  EXPECT_THAT(answer.error().message, testing::HasSubstr("413"));
}

// Such an answer can't be meant for this request.
TEST(ClientResets, NoGrantIsBelievedBeforeTheWholeRequestWasSent) {
  ServerByHand server;
  Client client{ClientOptions(server.url()).attempt_timeout(5s).request_timeout(10s).patience(300ms)};
  auto asked = std::async(std::launch::async, [&] { return Operations(client).grant("key", large(), 5s); });
  int answered = 0;
  while (asked.wait_for(0s) != std::future_status::ready) {
    if (!server.accept(20ms) || server.read().empty()) continue;
    ++answered;
    server.say(CannedServer::response(201, "1099511627777", "X-Lease-TTL: 5\r\nX-Fencing-Token: 7\r\n"));
    server.reset();
  }
  auto answer = asked.get();
  EXPECT_GT(answered, 0);
  ASSERT_TRUE(answer.has_error());
  EXPECT_EQ(answer.error().code, Errc::unavailable);
}

// Bytes that arrived on an idle connection are no answer to a later request.
TEST(ClientResets, BytesSentToAnIdleConnectionAreNoAnswer) {
  ServerByHand server;
  Client client{ClientOptions(server.url())};
  auto get = [&] { return Operations(client).get("default", "demo"); };
  auto first = std::async(std::launch::async, get);
  ASSERT_TRUE(server.accept());
  server.read();
  server.say(CannedServer::response(200, R"({"lockName":"demo"})"));
  EXPECT_TRUE(first.get());
  server.say(CannedServer::response(403, "you were idle"));
  server.reset();
  auto second = std::async(std::launch::async, get);
  ASSERT_TRUE(server.accept()) << "it took that for its answer";
  server.read();
  server.say(CannedServer::response(200, R"({"lockName":"demo","expiry":7,"owner":"me"})"));
  auto state = second.get();
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_TRUE(state->held);
}

}  // namespace
}  // namespace sharedlock::test
