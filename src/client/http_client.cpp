#include "client/http_client.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>

#include "base/environment.h"
#include "base/use_task.h"

namespace sharedlock::client {

namespace {

namespace http = boost::beast::http;
using Code = boost::system::error_code;

constexpr std::uint32_t kLargestHead = 16 * 1024;
constexpr std::uint64_t kLargestBody = 64 * 1024;
// A request that got no answer for this long was not sent on a connection that had already died.
constexpr std::chrono::seconds kNotStale{1};

std::int64_t number_in(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Whether a request that has not arrived as a whole may be refused with this status: other answers are about locks, and
// can't be meant for it.
bool refuses_unread(unsigned status) {
  return status >= 400 && status != 404 && status != 409 && status != 423;
}

}  // namespace

// A request in progress, for ending it from outside.
class HttpClient::Ongoing {
 public:
  Ongoing(HttpClient& client, bool acquires) : acquires_(acquires), client_(client) { client_.ongoing_.insert(this); }
  Ongoing(const Ongoing&) = delete;
  Ongoing& operator=(const Ongoing&) = delete;
  ~Ongoing() { client_.ongoing_.erase(this); }

  // Its present activity; one of them, or neither.
  void uses(Connection* connection) {
    connection_ = connection;
    want_ = nullptr;
  }
  void waits(Connector::Want* want) {
    want_ = want;
    connection_ = nullptr;
  }

  void stop_acquiring() {
    if (!acquires_) return;
    if (connection_) connection_->abort();
    if (want_) want_->abort();
  }
  void end_by(TimePoint last) {
    if (connection_) connection_->limit_at_most(last);
    if (want_) want_->limit_at_most(last);
  }

 private:
  const bool acquires_;
  HttpClient& client_;
  Connection* connection_ = nullptr;
  Connector::Want* want_ = nullptr;
};

HttpClient::HttpClient(Executor executor, Alarms& alarms, const ClientOptions& options, Url url)
    : executor_(executor),
      alarms_(alarms),
      url_(std::move(url)),
      token_(options.token()),
      answer_timeout_(options.attempt_timeout()),
      connector_(executor, alarms, options, url_) {}

HttpClient::~HttpClient() = default;

void HttpClient::stop_acquiring() {
  stopped_ = true;
  for (Ongoing* ongoing : ongoing_) ongoing->stop_acquiring();
}

void HttpClient::end_by(TimePoint last) {
  last_ = std::min(last_, last);
  for (Ongoing* ongoing : ongoing_) ongoing->end_by(last_);
}

Error HttpClient::no_answer(const std::string& why) const {
  return {Errc::unavailable, "no answer from " + url_.authority + ": " + why};
}

std::string HttpClient::why_not(const HttpRequest& request) const {
  bool closing = (stopped_ && request.acquires) || BootClock::now() >= last_;
  return closing ? "the client is being closed" : "";
}

Task<Result<HttpAnswer>> HttpClient::send(HttpRequest request, TimePoint until) {
  Ongoing ongoing(*this, request.acquires);
  bool may_be_stale = true;
  for (;;) {
    if (auto why = why_not(request); !why.empty()) co_return Error{Errc::unavailable, std::move(why)};
    auto connection = may_be_stale ? connector_.take_idle() : nullptr;
    bool kept = connection != nullptr;
    std::string error;
    if (!kept) connection = co_await connect(&ongoing, std::min(until, last_), &error);
    if (!connection) co_return no_answer(error);
    TimePoint begun = BootClock::now();
    TimePoint late = request.waits.count() == 0 ? until : std::min(until, begun + request.waits + answer_timeout_);
    ongoing.uses(connection.get());
    Exchange done = co_await exchange(connection.get(), &request, std::min(late, last_));
    ongoing.uses(nullptr);
    bool was_stale = kept && (done.untouched || done.unsent) && BootClock::now() - begun < kNotStale;
    if (done.error.empty() && !was_stale) {
      if (done.keep) connector_.keep(std::move(connection));
      co_return std::move(done.answer);
    }
    if (!was_stale) co_return no_answer(done.error);
    may_be_stale = false;
  }
}

Task<ConnectionPtr> HttpClient::connect(Ongoing* ongoing, TimePoint until, std::string* error) {
  Connector::Want want(executor_, alarms_, until);
  ongoing->waits(&want);
  auto connection = co_await connector_.connect(&want, error);
  ongoing->waits(nullptr);
  co_return connection;
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
  if (token_) message.set(http::field::authorization, "Bearer " + trimmed(token_()));
  for (const auto& [name, value] : request->headers) message.set(name, value);
  message.body() = request->body;
  message.prepare_payload();

  Exchange done;
  done.answer.sent = BootClock::now();
  if (request->trace) request->trace->sent = done.answer.sent;
  Code unsent;
  co_await http::async_write(*stream, message, error_to(unsent));
  http::response_parser<http::string_body> parser;
  parser.header_limit(kLargestHead);
  parser.body_limit(kLargestBody);
  auto buffer = asio::dynamic_buffer(connection->buffer);
  // A server that answers before it has read everything, and closes, resets the connection: its answer has arrived.
  Code failed = unsent;
  if (!connection->aborted()) {
    co_await http::async_read(*stream, buffer, parser, error_to(failed));
  } else if (!failed) {
    failed = asio::error::operation_aborted;
  }
  bool late = connection->late();
  bool aborted = connection->aborted();
  connection->no_limit();
  done.unsent = unsent && !aborted;
  if (unsent && !failed && !refuses_unread(parser.get().result_int())) failed = unsent;
  if (failed || late) {
    done.untouched = !aborted && !parser.got_some() && connection->buffer.empty();
    if (request->trace) request->trace->closed = !aborted;
    done.error = late ? "it took too long" : aborted ? "it was given up" : (unsent ? unsent : failed).message();
    co_return done;
  }
  const auto& answer = parser.get();
  done.answer.status = static_cast<int>(answer.result_int());
  done.answer.token = number_in(answer["X-Fencing-Token"]);
  done.answer.ttl = number_in(answer[answer.count("X-Lock-Ttl") > 0 ? "X-Lock-Ttl" : "X-Lease-TTL"]);
  done.answer.location = answer["Location"];
  done.answer.later = answer.count(http::field::retry_after) != 0;
  done.keep = !done.unsent && answer.keep_alive() && connection->buffer.empty();
  done.answer.body = std::move(parser.get().body());
  co_return done;
}

}  // namespace sharedlock::client
