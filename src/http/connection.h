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

// Bytes to send: the head of an answer and, unless it was put behind the head, its body.
using Output = std::array<asio::const_buffer, 2>;

// One accepted socket: bytes in and out, and the time that this may take. Belongs to its Connections from construction
// to destruction; used on that I/O thread only.
//
// There is no timer per connection: setting a time is one store, and the Connections look at all of them now and then.
// An operation that is out of time is cancelled, with the socket left open, so that a 408 can still be sent.
class Connection final
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
      public Caller {
 public:
  enum class Fill { data, ended, timed_out };
  enum class Written { all, blocked, failed };

  Connection(Socket socket, Connections& all);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { forget_hang_up(); }

  ReadBuffer& input() { return input_; }

  // From now on the peer owes us nothing: no request has begun, and a drain closes the connection; one that has not had
  // its first request gets the time for it that Connections::drain() allows.
  void enter_idle(std::chrono::nanoseconds timeout);

  // A request has begun, or an answer. Zero: without end. In between, while a handler works, there is no limit.
  void limit(std::chrono::nanoseconds timeout);
  void limit_from(BootTime now, std::chrono::nanoseconds timeout);  // where the time is known already
  void no_limit();

  // Waits for more input. `ended`: nothing will come (closed by the peer, reset, stopped, or drained while idle).
  Task<Fill> fill();

  // Sends as much as the kernel takes at once, which is nearly always all; what is left stays in `output`.
  Written write_now(Output& output);

  // Sends the rest, within the limit that was set: `all`, or `failed` when the connection broke or time was up.
  Task<Written> write_rest(Output output);

  // Ends sending, then reads and drops what the peer still sends, at most 1 MiB or 2 s: closing with unread input would
  // make the kernel send a reset, and the peer might never see the answer.
  Task<void> linger();

  // Nothing may be read or written until forget_hang_up(), which is to follow when the handler has ended.
  void on_hang_up(std::function<void()> told) override;
  void forget_hang_up();

  // Whether the peer has closed, or its sending side: as far as the kernel knows now, whatever lies unread.
  bool has_hung_up();

  // For Connections.
  BootTime deadline() const { return deadline_; }
  void expire();                // the deadline has passed
  void drain();                 // closes if idle, or sets the deadline that Connections::drain() allows
  void stop();                  // closes, whatever is under way
  bool can_be_dropped() const;  // idle, open, and nothing has come

 private:
  struct HangUp;

  void watch_for_hang_up();
  void tell_hang_up();
  void begin_exchange();
  void set_deadline(std::chrono::nanoseconds timeout);

  Socket socket_;
  Connections& all_;
  ReadBuffer input_;
  BootTime deadline_ = BootTime::max();
  bool idle_ = true;
  bool fresh_ = true;           // no request has begun yet
  bool waits_for_peer_ = true;  // not for a handler
  bool timed_out_ = false;
  std::shared_ptr<HangUp> hang_up_;  // while it is watched for
};

}  // namespace sharedlock::http
