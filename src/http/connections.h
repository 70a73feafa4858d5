#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>

#include "base/clock.h"
#include "base/task.h"
#include "http/connection.h"

namespace sharedlock::http {

// The open connections of one I/O thread: enforces their deadlines, and drains or stops them all. Once constructed it
// is used on that thread only. Must outlive the connections and the task watch_deadlines().
class Connections {
 public:
  Connections(Executor executor, Clock& clock);
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  Executor executor() { return timer_.get_executor(); }

  // Until stop().
  Task<void> watch_deadlines();

  // These three are tasks, so that another thread can run them on this one.
  // Closes idle connections, and every other one when it becomes idle. A connection that has had no request yet, also
  // one accepted later, has until `grace` from now to send it: its client may not know that it should go elsewhere. A
  // request that is slowly sent, or an answer that is slowly read, has until `patience` from now to complete.
  Task<void> drain(std::chrono::nanoseconds grace, std::chrono::nanoseconds patience);
  Task<void> close_after_answers();
  Task<void> stop();  // closes all at once, also later ones

  bool draining() const { return draining_; }
  bool closing_after_answers() const { return closing_after_answers_; }  // while draining too
  bool stopped() const { return stopped_; }

  // Makes room for another connection by closing one that waits for its peer (Connection::can_make_room()): of up to 64
  // such connections the first by Connection::makes_room_before(). False when there was none.
  bool make_room(Connection::Kind kind);

  // Ends an incomplete request that takes much memory: the oldest of up to 64 such requests, except that of `larger`. A
  // request that grows now may be as legitimate as any, and an old one is less likely to complete. False when there was
  // none.
  bool cut_off_one(const Connection& larger);

  // For Connection, which unlinks itself when it is destroyed.
  void add(Connection& connection);
  BootTime now() const { return clock_.boot_now(); }
  BootTime after(std::chrono::nanoseconds timeout, BootTime now);  // the deadline that far ahead
  BootTime end_of_grace();                                         // the deadline for a first request, see drain()
  BootTime within_patience(BootTime deadline);                     // of a request or an answer in progress, see drain()

 private:
  BootTime watched(BootTime deadline);
  void expire_due();

  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer_;
  Clock& clock_;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> open_;
  BootTime earliest_ = BootTime::max();  // no deadline is earlier
  BootTime end_of_grace_ = BootTime::max();
  BootTime end_of_patience_ = BootTime::max();
  bool draining_ = false;
  bool closing_after_answers_ = false;
  bool stopped_ = false;
};

}  // namespace sharedlock::http
