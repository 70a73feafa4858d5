#include "load/connection.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace sharedlock::bench {

Connection::~Connection() {
  close();
}

bool Connection::open(const SocketAddress& address, int epoll) {
  close();
  socket_ = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  int connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address.bytes), address.size);
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  wanted.data.u32 = tag_;
  bool begun = connected == 0 || errno == EINPROGRESS;
  if (!begun || ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket_, &wanted) != 0) {
    int why = errno;
    close();
    errno = why;
    return false;
  }
  // Even if it is connected at once: the event that says so comes in either case.
  state_ = State::connecting;
  return true;
}

void Connection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  state_ = State::closed;
  unsent_.clear();
  reader_.next();
}

void Connection::finish_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0) {
    state_ = State::idle;
    return;
  }
  close();
  errno = error;
}

Connection::Outcome Connection::send(const std::string& text) {
  state_ = State::waiting;
  return send_bytes(text.data(), text.size());
}

Connection::Outcome Connection::send_rest() {
  if (unsent_.empty()) return Outcome::more;
  std::string rest;
  rest.swap(unsent_);
  return send_bytes(rest.data(), rest.size());
}

Connection::Outcome Connection::send_bytes(const char* bytes, std::size_t size) {
  ssize_t sent = ::send(socket_, bytes, size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return Outcome::ended;
  std::size_t gone = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (gone < size) unsent_.assign(bytes + gone, size - gone);
  return Outcome::more;
}

Connection::Outcome Connection::receive(bool hung_up) {
  while (true) {
    auto space = reader_.space();
    ssize_t got = ::recv(socket_, space.data(), space.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? Outcome::more : Outcome::ended;
    if (got == 0) return Outcome::ended;
    // There was no request.
    if (state_ != State::waiting) return Outcome::malformed;
    auto count = static_cast<std::size_t>(got);
    switch (reader_.received(count)) {
      case ResponseReader::Progress::malformed:
        return Outcome::malformed;
      case ResponseReader::Progress::complete:
        state_ = State::idle;
        return Outcome::answered;
      case ResponseReader::Progress::more:
        // A short read has emptied the socket, and later bytes bring an event of their own; but the end of the stream
        // does not, if this event announced it.
        if (count < space.size() && !hung_up) return Outcome::more;
    }
  }
}

}  // namespace sharedlock::bench
