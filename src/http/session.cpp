#include "http/session.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "base/use_task.h"
#include "http/connections.h"

namespace sharedlock::http {

namespace {

// Below this size, copying a body behind the head is cheaper than sending two pieces.
constexpr std::size_t kSmallBody = 2048;
constexpr std::size_t kLoggedPath = 200;
// Memory that an idle connection keeps of the head of an answer, and of decoded parameters.
constexpr std::size_t kKeptText = 1024;
constexpr std::int64_t kRetryAfter = 1;  // seconds, for requests that a limit refused
// Bytes that a request may take without being counted: far more than a lock's holder sends.
constexpr std::size_t kSmallRequest = 8 * 1024;
constexpr Refusal kTooMuch{503, "too much is being sent to this server at once"};
// How long a connection beyond a limit may be idle, and then how long its request may take.
constexpr std::chrono::nanoseconds kReserveTime = std::chrono::seconds(1);
// Pipelined requests that are served before the thread's other connections get their turn.
constexpr int kInOneGo = 4;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Response plain_answer(int status, std::string_view text) {
  std::string body(text);
  body += '\n';
  return Response(status, kPlainText, std::move(body));
}

Response bad_path_answer(std::string_view what) {
  return Response(400, kJson, "{\"message\":\"Validation failed\",\"details\":[\"" + std::string(what) + "\"]}");
}

// Zero means no limit.
std::chrono::nanoseconds at_most(std::chrono::nanoseconds timeout, std::chrono::nanoseconds most) {
  return timeout.count() > 0 ? std::min(timeout, most) : most;
}

double milliseconds(BootTimeline::duration span) {
  return std::chrono::duration<double, std::milli>(span).count();
}

}  // namespace

Session::Session(Socket socket, const Peer& peer, SessionContext& context, Connection::Kind kind)
    : context_(context),
      beyond_limit_(kind != Connection::Kind::admitted),
      idle_timeout_(beyond_limit_ ? at_most(context.options.idle_timeout, kReserveTime) : context.options.idle_timeout),
      read_timeout_(beyond_limit_ ? at_most(context.options.read_timeout, kReserveTime) : context.options.read_timeout),
      connection_(std::move(socket), context.connections, kind),
      parser_({context.options.header_limit, context.options.body_limit}),
      peer_(peer) {}

// A request is read and answered here, without coroutines of their own for its parts, since each would cost something
// for every request.
Task<void> Session::run() {
  for (;;) {
    begin_request();
    bool has_ended = take_header();
    while (!has_ended) {
      auto filled = co_await connection_.fill();
      has_ended = !header_goes_on(filled) || take_header();
    }
    if (ended_) co_return;
    header_ended();
    bool says_continue = client_awaits_continue();
    if (!close_ && !take_body()) co_await read_body(says_continue);
    connection_.begin_work();
    request_.body = parser_.body();
    if (!answered_ && enter_flight()) {
      try {
        response_ = co_await route_->handler(request_);
        if (route_->count) route_->count(response_.status());
      } catch (const std::exception& failed) {
        answer_exception(failed.what());
      } catch (...) {
        answer_exception("not a std::exception");
      }
      leave_flight();
    }
    Output output = build_answer();
    count_request();
    auto written = begin_to_send(output);
    if (written == Connection::Written::blocked) written = co_await connection_.write_rest(output);
    ended_ = written != Connection::Written::all || close_;
    if (written != Connection::Written::all && response_.undo()) response_.undo()();
    log_request();
    forget_request();
    if (ended_) co_return;
    if (!connection_.input().empty() && ++in_one_go_ == kInOneGo) co_await give_turn_to_others();
  }
}

Task<void> Session::linger() {
  if (linger_) co_await connection_.linger();
}

// The next pipelined request waits until the thread has seen to its other connections.
Task<void> Session::give_turn_to_others() {
  in_one_go_ = 0;
  co_await asio::post(context_.connections.executor(), use_task);
}

void Session::begin_request() {
  route_ = nullptr;
  request_.peer = &peer_;
  request_.caller = &connection_;
  answered_ = close_ = linger_ = false;
  idle_ = true;
  if (connection_.input().empty()) in_one_go_ = 0;
  connection_.enter_idle(idle_timeout_);
}

// Before waiting for the next one, which may take long: a connection at rest holds little memory, whatever its last
// request and answer were.
void Session::forget_request() {
  request_ = Request();
  parser_.reset();
  // Made anew, since to assign an empty one would keep the memory of a large body.
  std::destroy_at(&response_);
  std::construct_at(&response_);
  if (head_.capacity() > kKeptText) std::string().swap(head_);
  if (params_.decoded.capacity() > kKeptText) std::string().swap(params_.decoded);
  connection_.input().shrink();
  forget_buffered();
}

// Whether the header needs no more input: it is read, or refused.
bool Session::take_header() {
  ReadBuffer& input = connection_.input();
  auto [used, step] = parser_.parse_header(input.bytes());
  input.consume(used);
  if (step == RequestParser::Step::refused) refuse(parser_.refusal());
  if (step != RequestParser::Step::need_more) return true;
  if (idle_ && (parser_.begun() || !input.empty())) {
    connection_.begin_request(read_timeout_);
    idle_ = false;
  }
  return false;
}

// After a wait for more of it. False: no more will be read. Then the connection ends without a request, or the request
// has been refused.
bool Session::header_goes_on(Connection::Fill filled) {
  bool more = filled == Connection::Fill::data;
  if (more && (idle_ || has_room_for_request())) return true;
  ended_ = idle_ && (!beyond_limit_ || filled != Connection::Fill::timed_out);
  if (ended_) return false;
  if (idle_) refuse_beyond_limit();
  refuse_unfinished(filled, "request cut off");
  return false;
}

void Session::header_ended() {
  request_.received = context_.clock.boot_now();
  if (idle_) connection_.begin_request(request_.received, read_timeout_);
  if (!answered_) look_at_request();
}

// Everything that is decided before the body is read.
void Session::look_at_request() {
  request_.method = parser_.method();
  request_.headers = parser_.headers();
  choose_request_id();
  auto found = context_.router.match(request_.method, parser_.target(), params_);
  if (auto* none = std::get_if<NoRoute>(&found)) {
    request_.path = parser_.target().substr(0, parser_.target().find('?'));
    answer(std::move(none->answer));
  } else {
    auto& match = std::get<Match>(found);
    route_ = match.route;
    request_.path = match.path;
    request_.query = match.query;
    request_.params = params_.values;
    admit(match.bad_path);
    if (beyond_limit_ && route_->priority == Priority::newcomers && !answered_) refuse_beyond_limit();
  }
  check_body_announced();
}

// The caller is checked before the path: a 401 or 403 stands. For a bad path the router's 400 replaces the API's.
void Session::admit(std::string_view bad_path) {
  try {
    auto refused = route_->admit ? route_->admit(request_) : std::nullopt;
    if (!bad_path.empty() && (!refused || refused->status() == 400)) refused = bad_path_answer(bad_path);
    if (refused) answer(std::move(*refused));
  } catch (const std::exception& failed) {
    answer_exception(failed.what());
  } catch (...) {
    answer_exception("not a std::exception");
  }
}

void Session::check_body_announced() {
  using enum RequestParser::Expectation;
  bool too_large = parser_.content_length().value_or(0) > context_.options.body_limit;
  if (answered_) {
    // A refused body is read to its end, to keep the connection, only if it is short and sure to arrive.
    bool waits_for_continue = parser_.expectation() != none && connection_.input().empty();
    if (parser_.has_body() && (too_large || waits_for_continue)) close_ = linger_ = true;
    return;
  }
  if (parser_.expectation() == unknown) {
    answer_and_close(plain_answer(417, "unsupported Expect"));
  } else if (too_large) {
    answer_and_close(plain_answer(413, "request body too large"));
  }
}

// Before any of the body is read.
bool Session::client_awaits_continue() const {
  return !answered_ && connection_.input().empty() && parser_.expectation() == RequestParser::Expectation::continue_;
}

// Whether the body needs no more input: it is read, or refused.
bool Session::take_body() {
  auto [used, step] = parser_.parse_body(connection_.input().bytes());
  connection_.input().consume(used);
  if (step == RequestParser::Step::refused) refuse(parser_.refusal());
  return step != RequestParser::Step::need_more;
}

// Awaits the part of the body that has not arrived with the header.
Task<void> Session::read_body(bool says_continue) {
  if (says_continue) {
    Output interim;
    interim[0] = asio::buffer(kContinue);
    auto written = connection_.write_now(interim);
    if (written == Connection::Written::blocked) co_await connection_.write_rest(interim);
  }
  bool complete = false;
  while (!complete) {
    auto filled = co_await connection_.fill();
    if (filled == Connection::Fill::data) complete = take_body();
    bool goes_on = filled == Connection::Fill::data && has_room_for_request();
    if (!complete && !goes_on) {
      refuse_unfinished(filled, "request body cut off");
      co_return;
    }
  }
}

// A hang-up is checked just before the write; after that, whatever the kernel has taken counts as delivered.
Connection::Written Session::begin_to_send(Output& output) {
  if (response_.undo() && connection_.has_disconnected()) return Connection::Written::failed;
  auto written = connection_.write_now(output);
  if (written == Connection::Written::blocked) connection_.begin_answer(context_.options.write_timeout);
  return written;
}

// Joins head and body; the result points into this session.
Output Session::build_answer() {
  if (context_.connections.closing_after_answers() || beyond_limit_) close_ = linger_ = true;
  if (!parser_.keep_alive()) close_ = true;
  auto connection = ConnectionHeader::none;
  if (close_) connection = ConnectionHeader::close;
  if (!close_ && !parser_.http11()) connection = ConnectionHeader::keep_alive;
  if (request_.id.empty()) choose_request_id();
  head_.clear();
  append_head(head_, response_, {context_.date.at(context_.clock.wall_now()), request_.id, connection});
  std::string_view body = response_.body();
  if (request_.method == Method::head || !may_have_body(response_.status())) body = {};
  if (body.size() <= kSmallBody) {
    head_ += body;
    body = {};
  }
  return {asio::buffer(head_), asio::buffer(body)};
}

void Session::answer(Response response) {
  response_ = std::move(response);
  answered_ = true;
}

void Session::answer_and_close(Response response) {
  answer(std::move(response));
  close_ = linger_ = true;
}

void Session::answer_exception(std::string_view what) {
  std::string error_id = random_uuid();
  context_.log.write(LogLevel::error, "request failed",
                     {{"errorId", error_id},
                      {"method", parser_.method_name()},
                      {"path", request_.path.substr(0, kLoggedPath)},
                      {"what", what}});
  answer(Response(500, kJson, "{\"message\":\"Internal server error\",\"errorId\":\"" + error_id + "\"}"));
}

// An earlier refusal stays the answer if the rest of that request turns out to be malformed.
void Session::refuse(Refusal refusal) {
  if (!answered_) answer(plain_answer(refusal.status, refusal.reason));
  close_ = linger_ = true;
}

void Session::leave_flight() {
  context_.in_flight.of(route_->priority).leave();
  connection_.forget_disconnect();
}

void Session::refuse_for_now(Refusal refusal) {
  refuse(refusal);
  response_.add_header("Retry-After", kRetryAfter);
}

void Session::refuse_beyond_limit() {
  bool of_address = connection_.kind() == Connection::Kind::beyond_address;
  refuse_for_now(of_address ? Refusal{429, "too many connections from this address"}
                            : Refusal{503, "too many connections"});
}

// A request that is read no further, after the last try said so.
void Session::refuse_unfinished(Connection::Fill filled, std::string_view cut_off) {
  if (answered_) return refuse({});  // which stays the answer
  if (filled == Connection::Fill::ended) return refuse({400, cut_off});
  if (filled == Connection::Fill::timed_out) return refuse({408, "request took too long"});
  refuse_for_now(kTooMuch);
}

// While a large request arrives. False if all of them together take too much, and no older one could make way.
bool Session::has_room_for_request() {
  std::size_t kept = parser_.kept() + connection_.input().bytes().size();
  if (kept <= kSmallRequest + buffered_) return true;
  std::size_t more = kept - kSmallRequest - buffered_;
  bool fits = context_.buffered.add(more);
  buffered_ += more;
  connection_.set_large(true);
  return fits || context_.connections.cut_off_one(connection_);
}

void Session::forget_buffered() {
  if (buffered_ == 0) return;
  context_.buffered.remove(buffered_);
  buffered_ = 0;
  connection_.set_large(false);
}

// False when there are already too many of its kind; that is then the answer.
bool Session::enter_flight() {
  if (context_.in_flight.of(route_->priority).enter()) return true;
  answer(route_->plain_text ? plain_answer(503, "Too many requests in flight")
                            : Response(503, kJson, R"({"message":"Too many requests in flight"})"));
  response_.add_header("Retry-After", kRetryAfter);
  return false;
}

void Session::choose_request_id() {
  auto sent = request_.header("X-Request-Id");
  if (sent && is_sane_request_id(*sent)) {
    request_.id = *sent;
    return;
  }
  own_id_ = random_hex();
  request_.id = std::string_view(own_id_.data(), own_id_.size());
}

// Before the answer is sent, so that a client that has seen it finds it counted, and its reading time does not count.
void Session::count_request() {
  auto took = context_.clock.boot_now() - request_.received;
  context_.counts.count(route_, request_.method, response_.status(), took);
}

void Session::log_request() const {
  LogLevel level = route_ != nullptr && route_->quiet ? LogLevel::debug : LogLevel::info;
  if (!context_.log.enabled(level)) return;
  std::string peer = peer_.text();
  std::string client = client_of(request_).address.to_string();
  context_.log.write(level, "request",
                     {{"method", parser_.method_name()},
                      {"path", request_.path.substr(0, kLoggedPath)},
                      {"status", std::int64_t{response_.status()}},
                      {"bytes", static_cast<std::int64_t>(response_.body().size())},
                      {"ms", milliseconds(context_.clock.boot_now() - request_.received)},
                      {"id", request_.id},
                      {"peer", peer},
                      {"client", client}});
}

}  // namespace sharedlock::http
