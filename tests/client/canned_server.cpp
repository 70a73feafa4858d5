#include "client/canned_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace sharedlock::test {

namespace {

// Up to the end of the body; empty: the client has closed.
std::string read_request(int socket) {
  std::string request;
  char buffer[4096];
  for (;;) {
    auto head = request.find("\r\n\r\n");
    if (head != std::string::npos) {
      auto length = request.find("Content-Length: ");
      std::size_t body = length < head ? std::stoul(request.substr(length + 16)) : 0;
      if (request.size() >= head + 4 + body) return request;
    }
    ssize_t read = ::recv(socket, buffer, sizeof buffer, 0);
    if (read <= 0) return "";
    request.append(buffer, static_cast<std::size_t>(read));
  }
}

}  // namespace

class CannedServer::Impl {
 public:
  explicit Impl(std::function<std::string(const std::string&)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bool listens = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                   ::listen(listener_, 16) == 0 &&
                   ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (!listens) throw std::runtime_error("can't listen");
    port_ = ntohs(address.sin_port);
    accepting_ = std::jthread([this] { accept(); });
  }
  ~Impl() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    ::close(listener_);
    std::scoped_lock lock(mutex_);
    for (int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }

  std::uint16_t port() const { return port_; }

 private:
  void accept() {
    for (;;) {
      int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      std::scoped_lock lock(mutex_);
      sockets_.push_back(socket);
      serving_.emplace_back([this, socket] { serve(socket); });
    }
  }

  void serve(int socket) {
    for (;;) {
      std::string request = read_request(socket);
      std::string answer = request.empty() ? "" : answer_(request);
      if (answer.empty()) break;
      ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::shutdown(socket, SHUT_RDWR);
  }

  std::function<std::string(const std::string&)> answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<int> sockets_;  // closed with the process: so no number is used twice
  std::vector<std::jthread> serving_;
  std::jthread accepting_;
};

CannedServer::CannedServer(std::function<std::string(const std::string& request)> answer)
    : impl_(std::make_unique<Impl>(std::move(answer))) {}
CannedServer::~CannedServer() = default;

std::string CannedServer::url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port());
}

std::string CannedServer::response(int status, const std::string& body, const std::string& headers) {
  return "HTTP/1.1 " + std::to_string(status) + " Said\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace sharedlock::test
