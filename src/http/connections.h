#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>

#include "base/clock.h"
#include "base/task.h"
#include "http/connection.h"

namespace sharedlock::http {

// The open connections of one I/O thread: sees to their deadlines, and reaches them all for drain and stop. Everything
// happens on that thread, from construction's end on; outlives the connections and the task watch_deadlines().
class Connections {
 public:
  Connections(Executor executor, Clock& clock);
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Until stop().
  Task<void> watch_deadlines();

  // Tasks, so that another thread can have them run here.
  // Idle connections are closed, and every other one when it becomes idle; but one that has had no request yet, also
  // one that comes later, has until `grace` from now to send it: its client may not know that it should send it
  // elsewhere.
  Task<void> drain(std::chrono::nanoseconds grace);
  Task<void> stop();  // all are closed at once, also those that come later

  bool draining() const { return draining_; }
  bool stopped() const { return stopped_; }

  // For Connection. It leaves by itself.
  void add(Connection& connection);
  BootTime after(std::chrono::nanoseconds timeout);  // the deadline that lies so far ahead
  BootTime end_of_grace();                           // the deadline for a first request, see drain()

 private:
  BootTime watched(BootTime deadline);
  void expire_due();

  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer_;
  Clock& clock_;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> open_;
  BootTime earliest_ = BootTime::max();  // no deadline lies before this
  BootTime end_of_grace_ = BootTime::max();
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace sharedlock::http
