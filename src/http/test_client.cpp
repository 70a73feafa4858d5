#include "http/test_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "http/text.h"

namespace sharedlock::http {

namespace {

constexpr int kPatience = 10'000;  // milliseconds

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::generic_category().message(errno));
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  SocketAddress(const std::string& address, std::uint16_t port) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
      storage.ss_family = AF_INET;
      v4->sin_port = htons(port);
      size = sizeof *v4;
    } else if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
      storage.ss_family = AF_INET6;
      v6->sin6_port = htons(port);
      size = sizeof *v6;
    } else {
      throw std::runtime_error("not an IP address: " + address);
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// False when `events` did not happen in time.
bool wait_for(int socket, short events, int milliseconds) {
  pollfd wanted{socket, events, 0};
  for (;;) {
    int ready = ::poll(&wanted, 1, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

}  // namespace

std::optional<std::string> TestResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

TestClient::TestClient(const std::string& to, std::uint16_t port, const std::string& from) {
  const SocketAddress there(to, port);
  socket_ = ::socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) fail("socket");
  bool connected = true;
  if (!from.empty()) {
    const SocketAddress here(from, 0);
    connected = ::bind(socket_, here.get(), here.size) == 0;
  }
  connected = connected && ::connect(socket_, there.get(), there.size) == 0;
  if (!connected) {
    ::close(socket_);
    fail("connect to " + to + " port " + std::to_string(port));
  }
  int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(socket_, F_SETFL, O_NONBLOCK);
}

TestClient::TestClient(TestClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), input_(std::move(other.input_)), ended_(other.ended_) {}

TestClient::~TestClient() {
  if (socket_ >= 0) ::close(socket_);
}

void TestClient::send(std::string_view bytes) {
  if (send_until_closed(bytes) != bytes.size()) throw std::runtime_error("the peer closed before all was sent");
}

std::size_t TestClient::send_until_closed(std::string_view bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    ssize_t step = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (step >= 0) {
      sent += static_cast<std::size_t>(step);
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_, POLLOUT, kPatience)) throw std::runtime_error("the peer does not read");
    } else if (errno != EINTR) {
      break;
    }
  }
  return sent;
}

TestResponse TestClient::read_response() {
  TestResponse response = read_head();
  read_body(response);
  return response;
}

TestResponse TestClient::read_head_response() {
  return read_head();
}

void TestClient::send_request(std::string_view method, std::string_view target, std::string_view body,
                              std::string_view headers) {
  std::string text(method);
  text.append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(headers);
  if (!body.empty() || method == "POST") text.append("Content-Length: " + std::to_string(body.size()) + "\r\n");
  text.append("\r\n").append(body);
  send(text);
}

bool TestClient::is_answered_within(std::chrono::milliseconds time) {
  return ended_ || !input_.empty() || wait_for(socket_, POLLIN, static_cast<int>(time.count()));
}

TestResponse TestClient::request(std::string_view method, std::string_view target, std::string_view body,
                                 std::string_view headers) {
  send_request(method, target, body, headers);
  return method == "HEAD" ? read_head_response() : read_response();
}

std::string TestClient::read_to_end() {
  while (!ended_) {
    if (!read_more(kPatience)) throw std::runtime_error("the peer does not close; so far: " + input_);
  }
  return std::exchange(input_, {});
}

std::string TestClient::read_for(int milliseconds) {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (!ended_) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !read_more(static_cast<int>(left.count()))) break;
  }
  return std::exchange(input_, {});
}

void TestClient::wait_until_received() {
  for (int unacknowledged = 1; unacknowledged > 0;) {
    if (::ioctl(socket_, SIOCOUTQ, &unacknowledged) != 0) throw std::system_error(errno, std::generic_category());
  }
}

void TestClient::finish_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void TestClient::reset() {
  linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(socket_, -1));
}

// False when nothing came in time; sets ended_ at the end of the stream.
bool TestClient::read_more(int milliseconds) {
  if (!wait_for(socket_, POLLIN, milliseconds)) return false;
  char buffer[65536];
  ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
  if (got > 0) input_.append(buffer, static_cast<std::size_t>(got));
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) ended_ = true;
  return true;
}

std::string TestClient::take_line() {
  for (;;) {
    std::size_t end = input_.find("\r\n");
    if (end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 2);
      return line;
    }
    if (ended_) throw std::runtime_error("the stream ended within a line: '" + input_ + "'");
    if (!read_more(kPatience)) throw std::runtime_error("no answer; so far: '" + input_ + "'");
  }
}

std::string TestClient::take(std::size_t count) {
  while (input_.size() < count) {
    if (ended_) throw std::runtime_error("the stream ended within a body");
    if (!read_more(kPatience)) throw std::runtime_error("no more of the body");
  }
  std::string taken = input_.substr(0, count);
  input_.erase(0, count);
  return taken;
}

TestResponse TestClient::read_head() {
  TestResponse response;
  std::string line = take_line();
  if (!line.starts_with("HTTP/1.1 ") || line.size() < 13) throw std::runtime_error("not a status line: " + line);
  response.status = std::stoi(line.substr(9, 3));
  response.reason = line.substr(13);
  for (line = take_line(); !line.empty(); line = take_line()) {
    std::size_t colon = line.find(": ");
    if (colon == std::string::npos) throw std::runtime_error("not a header: " + line);
    response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return response;
}

void TestClient::read_body(TestResponse& response) {
  if (response.status < 200 || response.status == 204 || response.status == 304) return;
  if (auto length = response.header("Content-Length")) {
    response.body = take(std::stoul(*length));
  } else if (response.header("Transfer-Encoding") == "chunked") {
    response.body = read_chunks();
  } else {
    response.body = read_to_end();
  }
}

std::string TestClient::read_chunks() {
  std::string body;
  for (;;) {
    std::size_t size = std::stoul(take_line(), nullptr, 16);
    body += take(size);
    take_line();
    if (size == 0) return body;
  }
}

}  // namespace sharedlock::http
