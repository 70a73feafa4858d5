#include "http/connection.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <optional>
#include <utility>

#include "http/connections.h"

namespace sharedlock::http {

using boost::system::error_code;

namespace {

constexpr std::chrono::nanoseconds kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr auto kLookAgain = std::chrono::milliseconds(200);

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

// A peer that vanished is noticed after 4 s of silence and three questions 4 s apart.
constexpr int kSilence = 4;
constexpr int kBetweenQuestions = 4;
constexpr int kQuestions = 3;
constexpr int kVanished = 1000 * (kSilence + kQuestions * kBetweenQuestions);

template <int level, int name>
void set(Socket& socket, int value) {
  error_code ignored;  // a socket that is dead already shows that by itself
  socket.set_option(asio::detail::socket_option::integer<level, name>(value), ignored);
}

void notice_who_vanishes(Socket& socket) {
  set<IPPROTO_TCP, TCP_KEEPIDLE>(socket, kSilence);
  set<IPPROTO_TCP, TCP_KEEPINTVL>(socket, kBetweenQuestions);
  set<IPPROTO_TCP, TCP_KEEPCNT>(socket, kQuestions);
  set<IPPROTO_TCP, TCP_USER_TIMEOUT>(socket, kVanished);
  set<SOL_SOCKET, SO_KEEPALIVE>(socket, 1);
}

std::size_t left_of(const Output& output) {
  return output[0].size() + output[1].size();
}

void advance(Output& output, std::size_t sent) {
  for (asio::const_buffer& piece : output) {
    std::size_t step = std::min(sent, piece.size());
    piece += step;
    sent -= step;
  }
}

}  // namespace

// Outlives its connection where the kernel's word comes late.
struct Connection::HangUp {
  HangUp(Connection* watched, std::function<void()> tell) : connection(watched), told(std::move(tell)) {}

  Connection* connection;  // null: nobody asks any more
  std::function<void()> told;
  std::optional<Timer> again;  // where bytes lie unread
};

Connection::Connection(Socket socket, Connections& all) : socket_(std::move(socket)), all_(all) {
  error_code ignored;  // whatever is wrong with the socket shows at the first read
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  all_.add(*this);
}

void Connection::enter_idle(std::chrono::nanoseconds timeout) {
  set_deadline(timeout);
  idle_ = waits_for_peer_ = true;
  if (fresh_ && all_.draining()) deadline_ = std::min(deadline_, all_.end_of_grace());
}

void Connection::limit(std::chrono::nanoseconds timeout) {
  set_deadline(timeout);
  begin_exchange();
}

void Connection::limit_from(BootTime now, std::chrono::nanoseconds timeout) {
  timed_out_ = false;
  deadline_ = timeout.count() > 0 ? all_.after(timeout, now) : BootTime::max();
  begin_exchange();
}

void Connection::begin_exchange() {
  idle_ = fresh_ = false;
  waits_for_peer_ = true;
  if (all_.draining()) deadline_ = all_.within_patience(deadline_);
}

void Connection::set_deadline(std::chrono::nanoseconds timeout) {
  timed_out_ = false;
  deadline_ = timeout.count() > 0 ? all_.after(timeout) : BootTime::max();
}

void Connection::no_limit() {
  idle_ = waits_for_peer_ = false;
  deadline_ = BootTime::max();
}

Task<Connection::Fill> Connection::fill() {
  error_code failed;
  std::size_t got = 0;
  bool drained = idle_ && !fresh_ && all_.draining();
  if (!drained) {
    got = co_await socket_.async_read_some(input_.space(), asio::redirect_error(use_task, failed));
  }
  // A drain cancels the reads of idle connections; but a request that is already here gets its answer.
  if (got == 0 && idle_ && all_.draining()) {
    got = socket_.read_some(input_.space(), failed);
    if (got > 0) timed_out_ = false;
  }
  input_.commit(got);
  if (timed_out_) co_return Fill::timed_out;
  co_return got > 0 ? Fill::data : Fill::ended;
}

Connection::Written Connection::write_now(Output& output) {
  error_code failed;
  while (left_of(output) > 0) {
    std::size_t sent = output[1].size() == 0 ? socket_.write_some(asio::const_buffer(output[0]), failed)
                                             : socket_.write_some(output, failed);
    if (failed == asio::error::would_block) return Written::blocked;
    if (failed) return Written::failed;
    advance(output, sent);
  }
  return Written::all;
}

Task<Connection::Written> Connection::write_rest(Output output) {
  error_code failed;
  while (!failed && !timed_out_ && left_of(output) > 0) {
    std::size_t sent = co_await socket_.async_write_some(output, asio::redirect_error(use_task, failed));
    advance(output, sent);
  }
  co_return left_of(output) == 0 ? Written::all : Written::failed;
}

Task<void> Connection::linger() {
  error_code failed;
  socket_.shutdown(Socket::shutdown_send, failed);
  limit(kLingerTime);
  std::size_t total = 0;
  while (!failed && !timed_out_ && total < kLingerBytes) {
    input_.clear();
    total += co_await socket_.async_read_some(input_.space(), asio::redirect_error(use_task, failed));
  }
}

void Connection::on_hang_up(std::function<void()> told) {
  input_.rest();  // who waits for long should cost little
  notice_who_vanishes(socket_);
  hang_up_ = std::make_shared<HangUp>(this, std::move(told));
  watch_for_hang_up();
}

// Bytes that nobody reads would make the socket readable for ever: where there are some, it is looked at now and then.
void Connection::watch_for_hang_up() {
  socket_.async_wait(Socket::wait_read, [watched = hang_up_](error_code failed) {
    if (!watched->connection) return;
    if (failed || watched->connection->has_hung_up()) {
      watched->connection->tell_hang_up();
      return;
    }
    watched->again.emplace(watched->connection->all_.executor(), kLookAgain);
    watched->again->async_wait([watched](error_code) {
      if (watched->connection) watched->connection->watch_for_hang_up();
    });
  });
}

void Connection::tell_hang_up() {
  auto watched = std::exchange(hang_up_, nullptr);
  watched->connection = nullptr;
  watched->told();
}

void Connection::forget_hang_up() {
  if (!hang_up_) return;
  hang_up_->connection = nullptr;
  if (hang_up_->again) hang_up_->again->cancel();
  hang_up_.reset();
  error_code ignored;
  socket_.cancel(ignored);
}

bool Connection::has_hung_up() {
  pollfd peer{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&peer, 1, 0) > 0;  // a signal that comes in between says nothing
}

void Connection::expire() {
  timed_out_ = true;
  deadline_ = BootTime::max();
  error_code ignored;
  socket_.cancel(ignored);
}

void Connection::drain() {
  if (!idle_) {
    if (waits_for_peer_) deadline_ = all_.within_patience(deadline_);
    return;
  }
  if (fresh_) {
    deadline_ = std::min(deadline_, all_.end_of_grace());
    return;
  }
  error_code ignored;
  socket_.cancel(ignored);
}

bool Connection::can_be_dropped() const {
  error_code failed;  // closed already
  return idle_ && socket_.available(failed) == 0 && !failed;
}

void Connection::stop() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace sharedlock::http
