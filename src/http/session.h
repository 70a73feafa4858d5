#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "http/admission.h"
#include "http/buffered_bytes.h"
#include "http/client_address.h"
#include "http/connection.h"
#include "http/http_metrics.h"
#include "http/request_parser.h"
#include "http/response_head.h"
#include "http/router.h"
#include "http/server_options.h"

namespace sharedlock::http {

// State shared by the sessions of one I/O thread.
struct SessionContext {
  const ServerOptions& options;
  const Router& router;
  Clock& clock;
  Log& log;
  Connections& connections;
  InFlight& in_flight;
  BufferedBytes& buffered;
  RequestCounts& counts;
  DateText date{};
};

// Serves the requests of one connection, one after another. Lives on the frame of the coroutine that awaits run(), on
// one I/O thread.
//
// A connection beyond a limit still gets a second: one request is served if it is for holders or operators; anything
// else is refused because of the limit. So a lock's holder gets through to renew it (R36).
class Session {
 public:
  Session(Socket socket, const Peer& peer, SessionContext& context, Connection::Kind kind = Connection::Kind::admitted);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { forget_buffered(); }

  // Until the last request is answered.
  Task<void> run();

  // Whether its connection was closed to make room.
  bool made_room() const { return connection_.made_room(); }

  // After that: until the peer has surely had the chance to read the last answer; see Connection::linger().
  Task<void> linger();

 private:
  bool take_header();
  bool header_goes_on(Connection::Fill filled);
  void header_ended();
  void look_at_request();
  void admit(std::string_view bad_path);
  void check_body_announced();
  bool client_awaits_continue() const;
  bool take_body();
  Task<void> read_body(bool says_continue);
  Output build_answer();
  Connection::Written begin_to_send(Output& output);
  Task<void> give_turn_to_others();

  void begin_request();
  void forget_request();
  void answer(Response response);
  void answer_and_close(Response response);
  void answer_exception(std::string_view what);
  void refuse(Refusal refusal);
  bool enter_flight();
  void leave_flight();
  void refuse_for_now(Refusal refusal);
  void refuse_beyond_limit();
  void refuse_unfinished(Connection::Fill filled, std::string_view cut_off);
  bool has_room_for_request();
  void forget_buffered();
  void choose_request_id();
  void count_request();
  void log_request() const;

  SessionContext& context_;
  const bool beyond_limit_;
  const std::chrono::nanoseconds idle_timeout_;
  const std::chrono::nanoseconds read_timeout_;
  Connection connection_;
  RequestParser parser_;
  const Peer peer_;
  std::string head_;          // of the answer being sent
  std::size_t buffered_ = 0;  // counted for the present request
  int in_one_go_ = 0;         // requests since the last time that the thread's other connections had their turn

  // About the request being served.
  Request request_;
  RandomHex own_id_{};  // if the client sent none
  PathParams params_;
  const Route* route_ = nullptr;
  Response response_;
  bool idle_ = true;       // no byte of it has come
  bool answered_ = false;  // response_ is what will be sent
  bool close_ = false;     // after the answer
  bool linger_ = false;    // the peer may still be sending when we close
  bool ended_ = false;     // no further request is served
};

}  // namespace sharedlock::http
