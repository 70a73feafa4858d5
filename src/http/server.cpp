#include "http/server.h"

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/task_group.h"
#include "http/connections.h"
#include "http/listen.h"
#include "http/session.h"

namespace sharedlock::http {

using boost::system::error_code;

namespace {

// How many connections over the limit are told so (503) at a time; any more are closed without a word, or there would
// be no limit.
constexpr std::size_t kTurnedAwayAtOnce = 64;

// After a failed accept (out of file descriptors, most likely) there is no use in trying again at once.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// A connection that has not had its first request when a drain begins has so long to send it.
constexpr std::chrono::nanoseconds kGrace = std::chrono::seconds(1);

// Longer than anybody waits, and short enough that now + this is a time.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::hours(24 * 365);

enum class Admission { admitted, turned_away, dropped };

// Decides which connections get in, and knows how many are open: those that are being turned away don't count against
// the limit, or clients that were refused would keep out others. It is what drain() waits for. Thread-safe.
class OpenCount {
 public:
  explicit OpenCount(std::size_t limit) : limit_(limit) {}

  // Before and after the time in which new connections may come.
  void set_accepting(bool accepting) {
    std::scoped_lock lock(mutex_);
    accepting_ = accepting;
    changed_.notify_all();
  }
  // What is not dropped must be removed.
  Admission add() {
    std::scoped_lock lock(mutex_);
    if (limit_ == 0 || admitted_ < limit_) {
      ++admitted_;
      return Admission::admitted;
    }
    if (turned_away_ == kTurnedAwayAtOnce) return Admission::dropped;
    ++turned_away_;
    return Admission::turned_away;
  }
  void remove(Admission admission) {
    // Notified under the lock: the waiter may destroy this.
    std::scoped_lock lock(mutex_);
    --(admission == Admission::admitted ? admitted_ : turned_away_);
    if (admitted_ == 0 && turned_away_ == 0) changed_.notify_all();
  }
  std::size_t admitted() const {
    std::scoped_lock lock(mutex_);
    return admitted_;
  }
  bool wait_for_none(std::chrono::nanoseconds within) {
    std::unique_lock lock(mutex_);
    auto none = [this] { return admitted_ == 0 && turned_away_ == 0 && !accepting_; };
    return changed_.wait_for(lock, std::min(within, kLongestWait), none);
  }

 private:
  const std::size_t limit_;  // 0: none
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t admitted_ = 0;
  std::size_t turned_away_ = 0;
  bool accepting_ = false;
};

// The part of the server on one I/O thread.
struct Worker {
  Worker(Executor io, const ServerOptions& options, const Router& router, Clock& clock, Log& log)
      : executor(io), connections(io, clock), context{options, router, clock, log, connections} {}

  Task<void> serve(Socket socket, Admission admission, OpenCount* open);

  Executor executor;
  Connections connections;
  SessionContext context;
};

Task<void> Worker::serve(Socket socket, Admission admission, OpenCount* open) {
  if (!connections.stopped()) {
    Session session(std::move(socket), context);
    if (admission == Admission::admitted) {
      co_await session.run();
    } else {
      co_await session.turn_away();
    }
  }
  open->remove(admission);
}

}  // namespace

// Everything but the constructor, start() and the two waits happens on the I/O threads; what is posted there is a task
// of the group, so that nothing is left when stop() has joined it.
class Server::Impl {
 public:
  Impl(ServerOptions options, const Router& router, IoThreads& threads, Clock& clock, Log& log)
      : options_(std::move(options)),
        log_(log),
        acceptor_(threads.executor(0)),
        pause_(threads.executor(0)),
        open_(options_.max_connections) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      workers_.push_back(std::make_unique<Worker>(threads.executor(i), options_, router, clock, log));
    }
  }

  Result<void> start() {
    auto listening = listen(acceptor_, options_.address, options_.port);
    if (listening.has_error()) return listening.error();
    port_ = *listening;
    open_.set_accepting(true);
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.watch_deadlines());
    group_.spawn(acceptor_.get_executor(), accept_all());
    return {};
  }

  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return open_.admitted(); }

  bool drain(std::chrono::nanoseconds within) {
    // No more than half of the time: connections without a request should not make a drain fail.
    std::chrono::nanoseconds grace = std::clamp(within / 2, std::chrono::nanoseconds(0), kGrace);
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.drain(grace));
    group_.spawn(acceptor_.get_executor(), accept_the_last());
    return open_.wait_for_none(within);
  }

  void stop() {
    group_.spawn(acceptor_.get_executor(), stop_accepting());
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.stop());
    group_.join();
  }

 private:
  Task<void> accept_all();
  Task<void> wait_after(error_code failed);
  Task<void> accept_the_last();
  Task<void> stop_accepting();
  Worker& next_worker() { return *workers_[turn_++ % workers_.size()]; }
  void deal(Socket socket, Worker& worker);
  void close_acceptor();

  ServerOptions options_;
  Log& log_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Acceptor acceptor_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> pause_;
  std::size_t turn_ = 0;  // these three on the acceptor's thread
  bool accepting_ = true;
  bool complained_ = false;  // about a failed accept, since the last good one
  std::uint16_t port_ = 0;
  OpenCount open_;
  TaskGroup group_;  // last: joins before the others die
};

Task<void> Server::Impl::accept_all() {
  while (accepting_) {
    Worker& worker = next_worker();
    error_code failed;
    Socket socket = co_await acceptor_.async_accept(worker.executor, asio::redirect_error(use_task, failed));
    if (!failed) {
      // Also when a drain has begun meanwhile: who got through may have sent a request already.
      complained_ = false;
      deal(std::move(socket), worker);
    } else if (accepting_) {
      co_await wait_after(failed);
    }
  }
  open_.set_accepting(false);
}

Task<void> Server::Impl::wait_after(error_code failed) {
  if (!complained_) {
    std::string why = failed.message();
    log_.write(LogLevel::error, "can't accept connections", {{"error", why}});
  }
  complained_ = true;
  pause_.expires_after(kAcceptPause);
  error_code woken;
  co_await pause_.async_wait(asio::redirect_error(use_task, woken));
}

void Server::Impl::deal(Socket socket, Worker& worker) {
  Admission admission = open_.add();
  if (admission == Admission::dropped) return;
  group_.spawn(worker.executor, worker.serve(std::move(socket), admission, &open_));
}

// Closing the acceptor resets the connections that wait in the kernel's queue, and with them requests that their
// clients have sent in good faith. There were no more when the drain began than the queue takes; whoever keeps
// connecting must not keep us here.
Task<void> Server::Impl::accept_the_last() {
  accepting_ = false;
  error_code failed;
  acceptor_.non_blocking(true, failed);
  // Else Asio would block for another connection after one that was aborted.
  if (!failed) acceptor_.set_option(Acceptor::enable_connection_aborted(true), failed);
  for (int i = 0; !failed && i <= Acceptor::max_listen_connections; ++i) {
    Worker& worker = next_worker();
    Socket socket = acceptor_.accept(worker.executor, failed);
    if (!failed) deal(std::move(socket), worker);
    if (failed == asio::error::connection_aborted) failed.clear();
  }
  close_acceptor();
  co_return;
}

Task<void> Server::Impl::stop_accepting() {
  accepting_ = false;
  close_acceptor();
  co_return;
}

void Server::Impl::close_acceptor() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

Server::Server(ServerOptions options, const Router& router, IoThreads& threads, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), router, threads, clock, log)) {}

Server::~Server() {
  stop();
}

Result<void> Server::start() {
  return impl_->start();
}

std::uint16_t Server::port() const {
  return impl_->port();
}

bool Server::drain(std::chrono::nanoseconds within) {
  return impl_->drain(within);
}

void Server::stop() {
  impl_->stop();
}

std::size_t Server::connections() const {
  return impl_->connections();
}

}  // namespace sharedlock::http
