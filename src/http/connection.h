#pragma once

#include <array>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/task.h"
#include "http/message.h"
#include "http/read_buffer.h"

namespace sharedlock::http {

class Connections;

// The executor's type is not erased, see base/task.h.
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

// Bytes to send: the head of an answer and, unless it was appended to the head, its body.
using Output = std::array<asio::const_buffer, 2>;

// One accepted socket: bytes in and out, and time limits for both. Belongs to its Connections from construction to
// destruction; used on that I/O thread only.
//
// There is no timer per connection: setting a time is one store, and the Connections check all of them now and then. An
// operation that times out is cancelled, with the socket left open, so that a 408 can still be sent.
class Connection final
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
      public Caller {
 public:
  enum class Fill { data, ended, timed_out, cut_off };
  enum class Written { all, blocked, failed };
  // Within the limits; or beyond the overall limit, or that of its address, see Session.
  enum class Kind { admitted, beyond_all, beyond_address };

  Connection(Socket socket, Connections& all, Kind kind = Kind::admitted);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { forget_disconnect(); }

  ReadBuffer& input() { return input_; }
  const ReadBuffer& input() const { return input_; }

  // From now on the peer owes us nothing: no request has begun, and a drain closes the connection; before its first
  // request it gets the time that Connections::drain() allows.
  void enter_idle(std::chrono::nanoseconds timeout);

  // A request has begun. Zero: no limit.
  void begin_request(std::chrono::nanoseconds timeout);
  void begin_request(BootTime now, std::chrono::nanoseconds timeout);  // if the time is already known

  // The whole request has arrived: while a handler works there is no limit.
  void begin_work();

  // An answer has begun that the kernel did not take at once. Zero: no limit.
  void begin_answer(std::chrono::nanoseconds timeout);

  // To be awaited at once: waits for more input; the result is a Fill. `ended`: nothing more will come (closed by the
  // peer, reset, stopped, or drained while idle). `cut_off`: see Connections::cut_off_one().
  class Filling;
  Filling fill();

  // Whether the present request takes much memory.
  void set_large(bool large) { large_ = large; }

  // Sends as much as the kernel takes at once, which is nearly always all; the rest stays in `output`.
  Written write_now(Output& output);

  // Sends the rest, within the time limit: `all`, or `failed` when the connection broke or time was up.
  Task<Written> write_rest(Output output);

  // Ends sending, then reads and drops what the peer still sends, at most 1 MiB or 2 s: closing with unread input would
  // make the kernel send a reset, and the peer might never see the answer.
  Task<void> linger();

  // Nothing may be read or written until forget_disconnect(), which must follow when the handler has ended.
  void on_disconnect(std::function<void()> told) override;
  void forget_disconnect();

  // Whether the peer has closed, or its sending side: as far as the kernel knows now, even with unread bytes.
  bool has_disconnected();

  // For Connections.
  BootTime deadline() const { return deadline_; }
  BootTime since() const { return since_; }  // how long it has waited for its peer
  void expire();                             // the deadline has passed
  void cut_off();                            // ends the present request here
  void drain();                              // closes if idle, or sets the deadline that Connections::drain() allows
  void stop();                               // closes at once
  void make_room();                          // the same, for another connection, which takes over its place
  bool made_room() const { return made_room_; }
  Kind kind() const { return kind_; }
  // It waits for its peer's bytes, and none have come; or, beyond a limit, for its peer to read.
  bool can_make_room() const;
  bool makes_room_before(const Connection& other) const;  // both can make room
  // One that is not complete, and was not cut off.
  bool has_large_request() const { return large_ && !cut_off_ && stage_ == Stage::request; }

 private:
  struct Disconnect;

  bool may_wait_for_input() const;
  Fill filled(std::size_t got);
  void watch_for_disconnect();
  void tell_disconnect();
  // The present stage.
  enum class Stage { idle, request, work, answer, linger };

  void enter(Stage stage, BootTime now, std::chrono::nanoseconds timeout);
  void set_deadline(BootTime now, std::chrono::nanoseconds timeout);

  Socket socket_;
  Connections& all_;
  ReadBuffer input_;
  BootTime deadline_ = BootTime::max();
  BootTime since_{};  // when the stage began, except for work
  const Kind kind_;
  Stage stage_ = Stage::idle;
  bool fresh_ = true;    // no request has begun yet
  bool served_ = false;  // a request has been answered
  bool timed_out_ = false;
  bool cut_off_ = false;
  bool large_ = false;
  bool made_room_ = false;
  std::shared_ptr<Disconnect> disconnect_;  // while watched
};

// See fill(). An operation and not a coroutine, since every request awaits it.
class [[nodiscard]] Connection::Filling : public TaskAwaitable {
 public:
  explicit Filling(Connection& connection) : connection_(connection) {}

  bool begin(TaskRun& run, std::coroutine_handle<> waiting);
  Fill result() const { return fill_; }

 private:
  void wait(TaskResumption resumption);

  Connection& connection_;
  Fill fill_ = Fill::ended;
};

inline Connection::Filling Connection::fill() {
  return Filling(*this);
}

}  // namespace sharedlock::http
