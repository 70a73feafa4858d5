#include "http/connection.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <optional>
#include <utility>

#include "base/use_task.h"
#include "http/connections.h"

namespace sharedlock::http {

using boost::system::error_code;

namespace {

constexpr std::chrono::nanoseconds kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr auto kLookAgain = std::chrono::milliseconds(200);

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

// A vanished peer is noticed after 4 s of silence and three probes 4 s apart.
constexpr int kSilence = 4;
constexpr int kBetweenQuestions = 4;
constexpr int kQuestions = 3;
constexpr int kVanished = 1000 * (kSilence + kQuestions * kBetweenQuestions);

template <int level, int name>
void set(Socket& socket, int value) {
  error_code ignored;  // a dead socket shows that by itself
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

// Outlives its connection if the kernel's answer comes late.
struct Connection::Disconnect {
  Disconnect(Connection* watched, std::function<void()> tell) : connection(watched), told(std::move(tell)) {}

  Connection* connection;  // null: nothing asks any more
  std::function<void()> told;
  std::optional<Timer> again;  // if there are unread bytes
};

Connection::Connection(Socket socket, Connections& all, Kind kind)
    : socket_(std::move(socket)), all_(all), kind_(kind) {
  error_code ignored;  // any fault of the socket shows at the first read
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  all_.add(*this);
}

void Connection::enter_idle(std::chrono::nanoseconds timeout) {
  served_ = !fresh_;
  stage_ = Stage::idle;
  set_deadline(all_.now(), timeout);
  if (fresh_ && all_.draining()) deadline_ = std::min(deadline_, all_.end_of_grace());
}

void Connection::begin_request(std::chrono::nanoseconds timeout) {
  enter(Stage::request, all_.now(), timeout);
}

void Connection::begin_request(BootTime now, std::chrono::nanoseconds timeout) {
  enter(Stage::request, now, timeout);
}

void Connection::begin_work() {
  stage_ = Stage::work;
  deadline_ = BootTime::max();
}

void Connection::begin_answer(std::chrono::nanoseconds timeout) {
  enter(Stage::answer, all_.now(), timeout);
}

void Connection::enter(Stage stage, BootTime now, std::chrono::nanoseconds timeout) {
  stage_ = stage;
  fresh_ = false;
  set_deadline(now, timeout);
  if (all_.draining()) deadline_ = all_.within_patience(deadline_);
}

void Connection::set_deadline(BootTime now, std::chrono::nanoseconds timeout) {
  timed_out_ = false;
  since_ = now;
  deadline_ = timeout.count() > 0 ? all_.after(timeout, now) : BootTime::max();
}

// Time may have run out before, or the connection been closed, while `100 Continue` was written: nothing would end the
// wait.
bool Connection::may_wait_for_input() const {
  bool drained = stage_ == Stage::idle && !fresh_ && all_.draining();
  return !drained && !timed_out_ && socket_.is_open();
}

// After the wait, with the bytes read.
Connection::Fill Connection::filled(std::size_t got) {
  // A drain cancels the waits of idle connections; but a request that has already arrived gets its answer.
  if (got == 0 && stage_ == Stage::idle && all_.draining()) {
    error_code failed;
    got = socket_.read_some(input_.space(), failed);
    if (got > 0) timed_out_ = false;
  }
  input_.commit(got);
  if (timed_out_) return cut_off_ ? Fill::cut_off : Fill::timed_out;
  return got > 0 ? Fill::data : Fill::ended;
}

bool Connection::Filling::begin(TaskRun& run, std::coroutine_handle<> waiting) {
  if (!connection_.may_wait_for_input()) {
    fill_ = connection_.filled(0);
    return false;
  }
  begin_to_wait(run, [&] { wait(TaskResumption(run, waiting)); });
  return true;
}

// Not an asynchronous read: its bytes would be gone from the kernel before the session knows of them, and then
// can_make_room() would take a connection with a request for a silent one.
void Connection::Filling::wait(TaskResumption resumption) {
  connection_.socket_.async_wait(Socket::wait_read,
                                 [this, resumption = std::move(resumption)](error_code failed) mutable {
                                   std::size_t got = 0;
                                   if (!failed) got = connection_.socket_.read_some(connection_.input_.space(), failed);
                                   if (failed == asio::error::would_block && !connection_.timed_out_)
                                     return wait(std::move(resumption));
                                   fill_ = connection_.filled(got);
                                   resumption.resume();
                                 });
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

// As in fill(): not an asynchronous write, or the peer might have the whole answer before this coroutine knows of it.
Task<Connection::Written> Connection::write_rest(Output output) {
  auto written = Written::blocked;
  while (written == Written::blocked && !timed_out_) {
    error_code failed;
    co_await socket_.async_wait(Socket::wait_write, error_to(failed));
    written = failed ? Written::failed : write_now(output);
  }
  co_return written == Written::all ? Written::all : Written::failed;
}

Task<void> Connection::linger() {
  error_code failed;
  socket_.shutdown(Socket::shutdown_send, failed);
  enter(Stage::linger, all_.now(), kLingerTime);
  std::size_t total = 0;
  while (!failed && !timed_out_ && total < kLingerBytes) {
    input_.clear();
    total += co_await socket_.async_read_some(input_.space(), error_to(failed));
  }
}

void Connection::on_disconnect(std::function<void()> told) {
  input_.rest();  // a long wait should hold little memory
  notice_who_vanishes(socket_);
  disconnect_ = std::make_shared<Disconnect>(this, std::move(told));
  watch_for_disconnect();
}

// Unread bytes would keep the socket readable for ever: while there are some, it is polled at intervals instead.
void Connection::watch_for_disconnect() {
  socket_.async_wait(Socket::wait_read, [watched = disconnect_](error_code failed) {
    if (!watched->connection) return;
    if (failed || watched->connection->has_disconnected()) {
      watched->connection->tell_disconnect();
      return;
    }
    watched->again.emplace(watched->connection->all_.executor(), kLookAgain);
    watched->again->async_wait([watched](error_code) {
      if (watched->connection) watched->connection->watch_for_disconnect();
    });
  });
}

void Connection::tell_disconnect() {
  auto watched = std::exchange(disconnect_, nullptr);
  watched->connection = nullptr;
  watched->told();
}

void Connection::forget_disconnect() {
  if (!disconnect_) return;
  disconnect_->connection = nullptr;
  if (disconnect_->again) disconnect_->again->cancel();
  disconnect_.reset();
  error_code ignored;
  socket_.cancel(ignored);
}

bool Connection::has_disconnected() {
  pollfd peer{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&peer, 1, 0) > 0;  // an interrupting signal proves nothing
}

void Connection::expire() {
  timed_out_ = true;
  deadline_ = BootTime::max();
  error_code ignored;
  socket_.cancel(ignored);
}

void Connection::cut_off() {
  cut_off_ = true;
  expire();
}

void Connection::drain() {
  if (stage_ != Stage::idle) {
    if (stage_ != Stage::work) deadline_ = all_.within_patience(deadline_);
    return;
  }
  if (fresh_) {
    deadline_ = std::min(deadline_, all_.end_of_grace());
    return;
  }
  error_code ignored;
  socket_.cancel(ignored);
}

bool Connection::can_make_room() const {
  if (stage_ == Stage::work) return false;
  // In the reserve the kernel takes every answer at once, except for a client that does not read.
  if (stage_ == Stage::answer) return kind_ != Kind::admitted && socket_.is_open();
  error_code failed;  // already closed
  return socket_.available(failed) == 0 && !failed;
}

// Connections without an answer so far go first, so that clients that only connect don't push out clients that send
// requests; then those that have waited longest, since their time is up soonest.
bool Connection::makes_room_before(const Connection& other) const {
  if (served_ != other.served_) return other.served_;
  return since_ < other.since_;
}

void Connection::make_room() {
  made_room_ = true;
  stop();
}

void Connection::stop() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace sharedlock::http
