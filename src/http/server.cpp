#include "http/server.h"

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

// How many connections over the limit are told so (503); any more are closed without a word, or the limit would not
// be one.
constexpr std::size_t kTurnedAwayAtOnce = 64;

// After a failed accept (out of file descriptors, most likely) there is no use in trying again at once.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// What drain() waits for. Thread-safe.
class OpenCount {
 public:
  // Before and after the time in which new connections may come.
  void set_accepting(bool accepting) {
    std::scoped_lock lock(mutex_);
    accepting_ = accepting;
    changed_.notify_all();
  }
  // Returns how many there are now.
  std::size_t add() {
    std::scoped_lock lock(mutex_);
    return ++open_;
  }
  void remove() {
    // Notified under the lock: the waiter may destroy this.
    std::scoped_lock lock(mutex_);
    if (--open_ == 0) changed_.notify_all();
  }
  std::size_t value() const {
    std::scoped_lock lock(mutex_);
    return open_;
  }
  bool wait_for_none(std::chrono::nanoseconds within) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, [this] { return open_ == 0 && !accepting_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t open_ = 0;
  bool accepting_ = false;
};

// The part of the server on one I/O thread.
struct Worker {
  Worker(Executor io, const ServerOptions& options, const Router& router, Clock& clock, Log& log)
      : executor(io), connections(io, clock), context{options, router, clock, log, connections} {}

  Task<void> serve(Socket socket, bool too_many, OpenCount* open);

  Executor executor;
  Connections connections;
  SessionContext context;
};

Task<void> Worker::serve(Socket socket, bool too_many, OpenCount* open) {
  if (!connections.stopped()) {
    Session session(std::move(socket), context);
    if (too_many) {
      co_await session.turn_away();
    } else {
      co_await session.run();
    }
  }
  open->remove();
}

}  // namespace

// Everything but the constructor, start() and the two waits happens on the I/O threads; what is posted there is a task
// of the group, so that nothing is left when stop() has joined it.
class Server::Impl {
 public:
  Impl(ServerOptions options, const Router& router, IoThreads& threads, Clock& clock, Log& log)
      : options_(std::move(options)), log_(log), acceptor_(threads.executor(0)), pause_(threads.executor(0)) {
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
  std::size_t connections() const { return open_.value(); }

  bool drain(std::chrono::nanoseconds within) {
    group_.spawn(acceptor_.get_executor(), stop_accepting());
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.drain());
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
  Task<void> stop_accepting();
  void deal(Socket socket, Worker& worker);

  ServerOptions options_;
  Log& log_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Acceptor acceptor_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> pause_;
  bool accepting_ = true;    // on the acceptor's thread
  bool complained_ = false;  // about a failed accept, since the last good one
  std::uint16_t port_ = 0;
  OpenCount open_;
  TaskGroup group_;  // last: joins before the others die
};

Task<void> Server::Impl::accept_all() {
  std::size_t turn = 0;
  while (accepting_) {
    Worker& worker = *workers_[turn];
    error_code failed;
    Socket socket = co_await acceptor_.async_accept(worker.executor, asio::redirect_error(use_task, failed));
    if (!failed) {
      // Also when a drain has begun meanwhile: who got through may have sent a request already.
      complained_ = false;
      turn = (turn + 1) % workers_.size();
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
  std::size_t open = open_.add();
  bool too_many = options_.max_connections > 0 && open > options_.max_connections;
  if (too_many && open > options_.max_connections + kTurnedAwayAtOnce) {
    open_.remove();
    return;
  }
  group_.spawn(worker.executor, worker.serve(std::move(socket), too_many, &open_));
}

Task<void> Server::Impl::stop_accepting() {
  accepting_ = false;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  co_return;
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
