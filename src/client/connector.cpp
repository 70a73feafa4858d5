#include "client/connector.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <utility>

#include "base/go_duration.h"
#include "base/use_task.h"

namespace sharedlock::client {

namespace {

using Code = boost::system::error_code;

constexpr std::size_t kMostIdle = 64;

// Detects a server that vanished silently, even while a request waits in a queue.
void prepare(PlainSocket& socket) {
  Code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(5), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(3), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>(3), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(14000), ignored);
}

}  // namespace

void Connector::Want::limit_at_most(TimePoint until) {
  if (until >= until_) return;
  until_ = until;
  alarms_.set(*this, until);
}

void Connector::Want::on_alarm() {
  late_ = !over_;
  end(nullptr, "");
}

void Connector::Want::end(ConnectionPtr connection, std::string error) {
  if (over_) return;
  over_ = true;
  connection_ = std::move(connection);
  error_ = std::move(error);
  wake_.raise();
}

Connector::Connector(Executor executor, Alarms& alarms, const ClientOptions& options, const Url& url)
    : executor_(executor),
      alarms_(alarms),
      url_(url),
      timeout_(options.connect_timeout()),
      tls_(asio::ssl::context::tls_client),
      lookup_(executor, url.host) {
  if (!url_.tls) return;  // reading the system's certificates takes longer than a request
  Code failed;
  if (options.ca_file().empty()) {
    tls_.set_default_verify_paths(failed);
  } else {
    tls_.load_verify_file(options.ca_file(), failed);
  }
  if (failed) throw Failure({Errc::refused, "can't read the CA file " + options.ca_file() + ": " + failed.message()});
  tls_.set_verify_mode(asio::ssl::verify_peer);
}

Connector::~Connector() = default;

ConnectionPtr Connector::take_idle() {
  if (idle_.empty()) return nullptr;
  auto latest = std::move(idle_.back());
  idle_.pop_back();
  return latest;
}

void Connector::keep(ConnectionPtr connection) {
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
}

Task<ConnectionPtr> Connector::connect(Want* want, std::string* error) {
  wanting_.push_back(want);
  // Attempts that no request waits for any more may serve; one more than there are requests, in case one hangs.
  if (dials_.size() <= wanting_.size()) dialing_.spawn(executor_, dial());
  while (!want->over_) co_await want->wake_.wait();
  std::erase(wanting_, want);
  *error = std::move(want->error_);
  if (want->late_ && !dials_.empty()) {
    const Dial& oldest = dials_.front();
    *error = why_late(oldest, std::chrono::floor<std::chrono::milliseconds>(BootClock::now() - oldest.begun));
  }
  co_return std::move(want->connection_);
}

void Connector::stop() {
  for (Dial& dial : dials_) dial.connection->abort();
}

Task<void> Connector::dial() {
  auto connection = std::make_unique<Connection>(executor_, alarms_, tls_, url_.tls);
  auto dial = dials_.emplace(dials_.end(), Dial{.connection = connection.get(), .begun = BootClock::now()});
  connection->limit(dial->begun + timeout_);
  std::string error = co_await establish(&*dial);
  if (connection->late()) error = why_late(*dial, timeout_);
  connection->no_limit();
  dials_.erase(dial);
  if (!error.empty()) connection.reset();
  hand_over(std::move(connection), error);
}

Task<std::string> Connector::establish(Dial* dial) {
  std::string error = co_await race(dial->connection, &lookup_, url_.port, &dial->progress);
  if (!error.empty()) co_return error;
  prepare(dial->connection->lowest());
  if (!dial->connection->secured) co_return error;
  dial->progress.step = Progress::Step::tls;
  co_return co_await shake_hands(dial);
}

Task<std::string> Connector::shake_hands(Dial* dial) {
  Code failed;
  TlsStream& tls = *dial->connection->secured;
  if (!SSL_set_tlsext_host_name(tls.native_handle(), url_.host.c_str())) co_return "bad host name";
  tls.set_verify_callback(asio::ssl::host_name_verification(url_.host));
  co_await tls.async_handshake(asio::ssl::stream_base::client, error_to(failed));
  co_return failed ? "the TLS handshake: " + failed.message() : std::string();
}

std::string Connector::why_late(const Dial& dial, std::chrono::milliseconds given) const {
  std::string so_long = " takes longer than " + to_go_duration(given);
  switch (dial.progress.step) {
    case Progress::Step::lookup:
      return "looking up the name " + url_.host + so_long;
    case Progress::Step::connect:
      return "connecting to " + dial.progress.tried + so_long;
    case Progress::Step::tls:
      return "the TLS handshake" + so_long;
  }
  return so_long;
}

// The longest wait gets the connection. A failure ends it only if fewer connections are being made than are wanted.
void Connector::hand_over(ConnectionPtr connection, const std::string& error) {
  auto waits = [](const Want* want) { return !want->over_; };
  auto first = std::ranges::find_if(wanting_, waits);
  if (connection) {
    if (first == wanting_.end()) return keep(std::move(connection));
    (*first)->end(std::move(connection), "");
  } else if (std::ssize(dials_) < std::ranges::count_if(wanting_, waits)) {
    (*first)->end(nullptr, error);
  }
}

}  // namespace sharedlock::client
