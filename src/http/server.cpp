#include "http/server.h"

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <vector>

#include "base/memory.h"
#include "base/task_group.h"
#include "base/use_task.h"
#include "base/waiting.h"
#include "http/admission.h"
#include "http/buffered_bytes.h"
#include "http/connections.h"
#include "http/http_metrics.h"
#include "http/listen.h"
#include "http/memory_return.h"
#include "http/session.h"

namespace sharedlock::http {

using boost::system::error_code;
using Endpoint = asio::ip::tcp::endpoint;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

namespace {

// After a failed accept (most likely out of file descriptors) an immediate retry is pointless.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// The pause while kBeyond connections beyond the limits are open; deciding about one takes no time.
constexpr auto kDealPause = std::chrono::milliseconds(1);

constexpr auto kLookAtMemory = std::chrono::seconds(1);
constexpr std::size_t kConnectionBytes = 8 * 1024;  // roughly the cost of one

// How long a handshake in progress when a drain begins has to complete: a round trip nearby.
constexpr auto kHandshake = std::chrono::milliseconds(20);

// How long a connection without a request has to send its first one when a drain begins.
constexpr std::chrono::nanoseconds kGrace = std::chrono::seconds(1);

// How long clients have to close once all answers are sent. If we close before a client has read its answer, while more
// of its bytes are on their way, it might not see the answer. Obeying `Connection: close` takes it one round trip.
constexpr std::chrono::nanoseconds kTimeToClose = std::chrono::milliseconds(500);

// The state that the threads share to decide which connections get in.
struct Doors {
  explicit Doors(const ServerOptions& options) : open(options.max_connections, options.max_connections_per_address) {}

  // The reserve for connections of that kind; null: they are admitted without one.
  Capacity* reserve_for(Connection::Kind kind) {
    if (kind == Connection::Kind::admitted) return nullptr;
    return kind == Connection::Kind::beyond_all ? &beyond_all : &beyond_address;
  }

  OpenCount open;
  Capacity beyond_all{kReserve};
  Capacity beyond_address{kReserveByAddress};
  std::vector<Connections*> threads;
};

Connection::Kind kind_of(Admission admission) {
  if (admission == Admission::admitted) return Connection::Kind::admitted;
  bool of_address = admission == Admission::too_many_from_address;
  return of_address ? Connection::Kind::beyond_address : Connection::Kind::beyond_all;
}

// What the server has on one I/O thread: its connections there, and what their sessions share.
struct Worker {
  Worker(Executor io, const ServerOptions& options, const Router& router, Clock& clock, Log& log, InFlight& in_flight,
         BufferedBytes& buffered)
      : executor(io), connections(io, clock), counts(router), context{options,     router,    clock,    log,
                                                                      connections, in_flight, buffered, counts} {}

  Task<void> serve(Socket socket, Peer peer, Arrival arrival, Doors* doors);
  Task<bool> make_room(Connection::Kind kind, Doors* doors);

  Executor executor;
  Connections connections;
  RequestCounts counts;
  SessionContext context;
};

// Has another thread make room.
auto make_room_on(Connections* there, Connection::Kind kind) {
  return wait_on<bool>([there, kind](Waiting<bool> waiting) {
    asio::post(there->executor(), [there, kind, waiting = std::move(waiting)]() mutable {
      waiting.resume(!there->stopped() && there->make_room(kind));
    });
  });
}

// On this thread, or otherwise on another.
Task<bool> Worker::make_room(Connection::Kind kind, Doors* doors) {
  bool made = connections.make_room(kind);
  for (std::size_t i = 0; !made && i < doors->threads.size(); ++i) {
    Connections* other = doors->threads[i];
    if (other == &connections) continue;
    made = co_await make_room_on(other, kind);
  }
  co_return made;
}

// If there is no room, it is made by closing a connection that waits for its peer; if there is none, the one that was
// in the way may have ended by itself meanwhile. A connection that is still beyond a limit gets a place in the reserve,
// where room is made the same way.
Task<void> Worker::serve(Socket socket, Peer peer, Arrival arrival, Doors* doors) {
  Admission admission = arrival.admission;
  if (admission == Admission::too_many) {
    bool made = false;
    if (!connections.stopped()) made = co_await make_room(Connection::Kind::admitted, doors);
    admission = made ? doors->open.admit_instead(peer, arrival.ticket) : doors->open.add_again(peer, arrival.ticket);
  }
  bool room = admission == Admission::admitted;
  auto kind = kind_of(admission);
  Capacity* reserve = doors->reserve_for(kind);
  if (reserve != nullptr) room = reserve->enter();
  if (!room && !connections.stopped()) {
    room = co_await make_room(kind, doors);
    if (room) {
      reserve->enter_instead();
    } else {
      room = reserve->enter();
    }
  }
  bool gave_up_place = false;
  if (room && !connections.stopped()) {
    Session session(std::move(socket), peer, context, kind);
    co_await session.run();
    doors->open.answered();
    co_await session.linger();
    gave_up_place = admission == Admission::admitted && session.made_room();
  } else {
    doors->open.answered();
  }
  if (room && reserve != nullptr) reserve->leave();
  if (gave_up_place) {
    doors->open.remove_replaced(peer);
  } else {
    doors->open.remove(admission, peer);
  }
}

}  // namespace

// Everything but the constructor, start() and the two waits runs on the I/O threads; what is posted there is a task of
// the group, so that nothing is left after stop() has joined it.
class Server::Impl {
 public:
  Impl(ServerOptions options, const Router& router, IoThreads& threads, Clock& clock, Log& log)
      : options_(std::move(options)),
        router_(router),
        log_(log),
        in_flight_(options_.max_requests_in_flight),
        buffered_(options_.max_buffered_bytes),
        acceptor_(threads.executor(0)),
        pause_(threads.executor(0)),
        last_handshakes_(threads.executor(0)),
        look_at_memory_(threads.executor(0)),
        doors_(options_) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      workers_.push_back(
          std::make_unique<Worker>(threads.executor(i), options_, router, clock, log, in_flight_, buffered_));
      doors_.threads.push_back(&workers_.back()->connections);
    }
  }

  Result<void> start() {
    auto listening = listen(acceptor_, options_.address, options_.port);
    if (listening.has_error()) return listening.error();
    port_ = *listening;
    doors_.open.set_accepting(true);
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.watch_deadlines());
    group_.spawn(acceptor_.get_executor(), accept_all());
    group_.spawn(acceptor_.get_executor(), return_memory());
    return {};
  }

  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return doors_.open.admitted(); }
  void write_metrics(MetricsText& text) const;

  void close_after_answers() {
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.close_after_answers());
  }

  bool drain(std::chrono::nanoseconds within) {
    // At most half of the time: connections without a request should not make a drain fail.
    std::chrono::nanoseconds grace = std::clamp(within / 2, std::chrono::nanoseconds(0), kGrace);
    for (auto& worker : workers_) group_.spawn(worker->executor, worker->connections.drain(grace, within / 2));
    group_.spawn(acceptor_.get_executor(), accept_the_last());
    bool answered = doors_.open.wait_for_answers(within);
    if (answered) doors_.open.wait_for_none(std::min(within, kTimeToClose));
    return answered;
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
  Task<void> return_memory();
  Worker& next_worker() { return *workers_[turn_++ % workers_.size()]; }
  Task<void> pause(std::chrono::milliseconds time);
  bool deal(Socket& socket, const Endpoint& from, Worker& worker);
  void close_acceptor();

  ServerOptions options_;
  const Router& router_;
  Log& log_;
  InFlight in_flight_;
  BufferedBytes buffered_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Acceptor acceptor_;
  Timer pause_;
  Timer last_handshakes_;
  Timer look_at_memory_;
  std::size_t turn_ = 0;  // only the acceptor's thread uses these three
  bool accepting_ = true;
  bool complained_ = false;  // about a failed accept, since the last good one
  std::uint16_t port_ = 0;
  Doors doors_;
  TaskGroup group_;  // last: joins before the others die
};

Task<void> Server::Impl::accept_all() {
  while (accepting_) {
    Worker& worker = next_worker();
    error_code failed;
    Endpoint from;
    Socket socket = co_await acceptor_.async_accept(worker.executor, from, error_to(failed));
    if (!failed) {
      // Even if a drain has begun meanwhile: the accepted connection may already carry a request.
      complained_ = false;
      // If it can't be handled yet it waits here, and later ones in the kernel's queue: a burst keeps no client out.
      while (!deal(socket, from, worker) && accepting_) co_await pause(kDealPause);
    } else if (accepting_) {
      co_await wait_after(failed);
    }
  }
  doors_.open.set_accepting(false);
}

Task<void> Server::Impl::wait_after(error_code failed) {
  if (!complained_) {
    std::string why = failed.message();
    log_.write(LogLevel::error, "can't accept connections", {{"error", why}});
  }
  complained_ = true;
  co_await pause(kAcceptPause);
}

Task<void> Server::Impl::pause(std::chrono::milliseconds time) {
  pause_.expires_after(time);
  error_code woken;
  co_await pause_.async_wait(error_to(woken));
}

// False: kBeyond connections beyond the limits are already open; the socket is left unchanged.
bool Server::Impl::deal(Socket& socket, const Endpoint& from, Worker& worker) {
  Peer peer{unmapped(from.address()), from.port()};
  if (options_.trusted_proxies.contain(peer.address)) peer.proxies = &options_.trusted_proxies;
  peer.exempt = options_.exempt_addresses.contain(peer.address);
  const Arrival arrival = doors_.open.add(peer);
  if (arrival.admission == Admission::dropped) return false;
  group_.spawn(worker.executor, worker.serve(std::move(socket), peer, arrival, &doors_));
  return true;
}

// Closing the acceptor resets the connections in the kernel's queue, and with them requests sent in good faith: so
// these are accepted first. When the drain began there were no more than the queue holds, and no more are accepted, so
// that clients that keep connecting can't prolong it.
Task<void> Server::Impl::accept_the_last() {
  if (accepting_ && ignore_new_handshakes(acceptor_)) {
    last_handshakes_.expires_after(kHandshake);
    error_code woken;
    co_await last_handshakes_.async_wait(error_to(woken));
  }
  accepting_ = false;
  error_code failed;
  acceptor_.non_blocking(true, failed);
  // Otherwise Asio would block for another connection after an aborted one.
  if (!failed) acceptor_.set_option(Acceptor::enable_connection_aborted(true), failed);
  for (int i = 0; !failed && i <= Acceptor::max_listen_connections; ++i) {
    Worker& worker = next_worker();
    Endpoint from;
    Socket socket(worker.executor);
    acceptor_.accept(socket, from, failed);
    if (!failed) (void)deal(socket, from, worker);
    if (failed == asio::error::connection_aborted) failed.clear();
  }
  close_acceptor();
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
  last_handshakes_.cancel();
  look_at_memory_.cancel();
}

// Until the server ends, which frees everything.
Task<void> Server::Impl::return_memory() {
  MemoryReturn memory;
  while (accepting_) {
    look_at_memory_.expires_after(kLookAtMemory);
    error_code woken;
    co_await look_at_memory_.async_wait(error_to(woken));
    std::size_t most = doors_.open.take_most_admitted() * kConnectionBytes + buffered_.take_most();
    std::size_t needed = connections() * kConnectionBytes + buffered_.count();
    if (memory.is_due(needed, most)) return_free_memory();
  }
}

void Server::Impl::write_metrics(MetricsText& text) const {
  text.gauges("shared_lock_http_connections", "Open connections.").add(static_cast<double>(connections()));
  std::vector<const RequestCounts*> counts;
  counts.reserve(workers_.size());
  for (const auto& worker : workers_) counts.push_back(&worker->counts);
  write_request_metrics(text, router_, counts);
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

void Server::close_after_answers() {
  impl_->close_after_answers();
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

void Server::write_metrics(MetricsText& text) const {
  impl_->write_metrics(text);
}

}  // namespace sharedlock::http
