#include "bench/canned_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sharedlock::test {

CannedServer::CannedServer(Script script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  bool listens = listener_ >= 0 && ::bind(listener_, plain, size) == 0 && ::listen(listener_, 16) == 0 &&
                 ::getsockname(listener_, plain, &size) == 0;
  if (!listens) throw std::system_error(errno, std::generic_category(), "listen on loopback");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

CannedServer::~CannedServer() {
  ends_ = true;
  thread_.join();
  ::close(listener_);
}

bool CannedServer::wait_for_bytes(int socket) const {
  while (!ends_) {
    pollfd wanted{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&wanted, 1, 20) > 0) return true;
  }
  return false;
}

void CannedServer::serve() {
  while (wait_for_bytes(listener_)) {
    int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    connections_.emplace_back([this, socket] {
      serve_connection(socket);
      ::close(socket);
    });
  }
  for (std::thread& connection : connections_) connection.join();
}

void CannedServer::serve_connection(int socket) {
  std::string input;
  while (wait_for_bytes(socket)) {
    std::array<char, 4096> bytes;
    ssize_t got = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (got <= 0) return;
    input.append(bytes.data(), static_cast<std::size_t>(got));
    if (!input.ends_with("\r\n\r\n")) continue;
    bool counts = !input.starts_with("GET /metrics");
    input.clear();
    CannedAnswer answer = counts ? script_(requests_++) : CannedAnswer{"HTTP/1.1 404 Not Found\r\n\r\n", true};
    if (::send(socket, answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL) < 0 || answer.then_close) return;
  }
}

}  // namespace sharedlock::test
