#include "client/http_client.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <optional>

namespace sharedlock::client {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;
using Plain = asio::basic_stream_socket<Tcp, Executor>;
using Tls = asio::ssl::stream<Plain>;
using Code = boost::system::error_code;

constexpr std::size_t kMostIdle = 64;
constexpr std::uint32_t kLargestHead = 16 * 1024;
constexpr std::uint64_t kLargestBody = 64 * 1024;

std::int64_t number_in(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// A server that is gone without a word is noticed, also by one who waits in line.
void prepare(Plain& socket) {
  Code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(5), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(3), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>(3), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(14000), ignored);
}

}  // namespace

class HttpClient::Connection final : public Alarms::Target {
 public:
  Connection(Executor executor, Alarms& alarms, asio::ssl::context& context, bool tls)
      : resolver(executor), plain(executor), alarms_(alarms) {
    if (tls) secured.emplace(std::move(*plain), context);
    if (tls) plain.reset();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override { alarms_.clear(*this); }

  Plain& lowest() { return secured ? secured->next_layer() : *plain; }
  // Ends what is under way; it is of no use afterwards. Cancelled alone, connecting would go on with the next address.
  void abort() {
    Code ignored;
    resolver.cancel();
    lowest().close(ignored);
  }

  // What is under way then is aborted, and was late.
  void limit(TimePoint until) {
    until_ = until;
    late_ = false;
    if (until < alarm_) alarms_.set(*this, alarm_ = until);
  }
  // The alarm stays: most requests come long before it, and need not touch it.
  void no_limit() { until_ = TimePoint::max(); }
  bool late() const { return late_; }

  asio::ip::basic_resolver<Tcp, Executor> resolver;
  std::optional<Plain> plain;
  std::optional<Tls> secured;
  beast::flat_buffer buffer;

 private:
  void on_alarm() override {
    alarm_ = TimePoint::max();
    late_ = BootClock::now() >= until_;
    if (late_) {
      abort();
    } else if (until_ != TimePoint::max()) {
      alarms_.set(*this, alarm_ = until_);
    }
  }

  Alarms& alarms_;
  TimePoint until_ = TimePoint::max();
  TimePoint alarm_ = TimePoint::max();
  bool late_ = false;
};

HttpClient::HttpClient(Executor executor, Alarms& alarms, const ClientOptions& options, Url url)
    : executor_(executor),
      alarms_(alarms),
      url_(std::move(url)),
      token_(options.token()),
      connect_timeout_(options.attempt_timeout()),
      tls_(asio::ssl::context::tls_client) {
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

HttpClient::~HttpClient() = default;

void HttpClient::stop_acquiring() {
  stopped_ = true;
  for (Connection* connection : acquiring_) connection->abort();
}

HttpClient::ConnectionPtr HttpClient::take_idle() {
  if (idle_.empty()) return nullptr;
  auto latest = std::move(idle_.back());
  idle_.pop_back();
  return latest;
}

Task<Result<HttpAnswer>> HttpClient::send(HttpRequest request, TimePoint until) {
  bool may_be_stale = true;
  for (;;) {
    if (stopped_ && request.acquires) co_return Error{Errc::unavailable, "the client is being closed"};
    auto connection = may_be_stale ? take_idle() : nullptr;
    bool kept = connection != nullptr;
    if (!kept) connection = std::make_unique<Connection>(executor_, alarms_, tls_, url_.tls);
    if (request.acquires) acquiring_.insert(connection.get());
    Exchange done;
    if (!kept) done.error = co_await connect(connection.get(), std::min(until, BootClock::now() + connect_timeout_));
    if (done.error.empty()) done = co_await exchange(connection.get(), &request, until);
    acquiring_.erase(connection.get());
    if (done.error.empty()) {
      if (done.keep && idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
      co_return std::move(done.answer);
    }
    if (!kept || !done.untouched) {
      co_return Error{Errc::unavailable, "no answer from " + url_.authority + ": " + done.error};
    }
    may_be_stale = false;
  }
}

Task<std::string> HttpClient::connect(Connection* connection, TimePoint until) {
  constexpr const char* kLate = "connecting took too long";
  Code failed;
  connection->limit(until);
  auto places =
      co_await connection->resolver.async_resolve(url_.host, url_.port, asio::redirect_error(use_task, failed));
  if (!failed && !connection->late()) {
    co_await asio::async_connect(connection->lowest(), places, asio::redirect_error(use_task, failed));
  }
  if (connection->late()) co_return kLate;
  if (failed) co_return failed.message();
  prepare(connection->lowest());
  if (!connection->secured) co_return std::string();
  Tls& tls = *connection->secured;
  if (!SSL_set_tlsext_host_name(tls.native_handle(), url_.host.c_str())) co_return "bad host name";
  tls.set_verify_callback(asio::ssl::host_name_verification(url_.host));
  co_await tls.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(use_task, failed));
  if (connection->late()) co_return kLate;
  co_return failed ? failed.message() : std::string();
}

Task<HttpClient::Exchange> HttpClient::exchange(Connection* connection, const HttpRequest* request, TimePoint until) {
  connection->limit(until);
  if (connection->secured) co_return co_await exchange_on(&*connection->secured, connection, request);
  co_return co_await exchange_on(&*connection->plain, connection, request);
}

template <class Stream>
Task<HttpClient::Exchange> HttpClient::exchange_on(Stream* stream, Connection* connection, const HttpRequest* request) {
  http::request<http::string_body> message(http::string_to_verb(request->method), url_.path + request->target, 11);
  message.set(http::field::host, url_.authority);
  if (token_) message.set(http::field::authorization, "Bearer " + token_());
  for (const auto& [name, value] : request->headers) message.set(name, value);
  message.body() = request->body;
  message.prepare_payload();

  Exchange done;
  done.answer.sent = BootClock::now();
  Code failed;
  co_await http::async_write(*stream, message, asio::redirect_error(use_task, failed));
  http::response_parser<http::string_body> parser;
  parser.header_limit(kLargestHead);
  parser.body_limit(kLargestBody);
  if (!failed) co_await http::async_read(*stream, connection->buffer, parser, asio::redirect_error(use_task, failed));
  bool late = connection->late();
  connection->no_limit();
  if (failed || late) {
    done.untouched = !late && !parser.got_some() && connection->buffer.size() == 0;
    done.error = late ? "it took too long" : failed.message();
    co_return done;
  }
  const auto& answer = parser.get();
  done.answer.status = static_cast<int>(answer.result_int());
  done.answer.token = number_in(answer["X-Fencing-Token"]);
  done.answer.ttl = number_in(answer["X-Lease-TTL"]);
  done.keep = answer.keep_alive() && connection->buffer.size() == 0;
  done.answer.body = std::move(parser.get().body());
  co_return done;
}

}  // namespace sharedlock::client
