#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <string>

#include "base/async_event.h"
#include "client/alarms.h"
#include "client/schedule.h"

namespace sharedlock::client {

using Tcp = asio::ip::tcp;
using PlainSocket = asio::basic_stream_socket<Tcp, Executor>;
using TlsStream = asio::ssl::stream<PlainSocket>;

// A connection to the server, or one that comes to be, with a limit of time. To be used on its executor alone; `alarms`
// must outlive it.
class Connection final : public Alarms::Target {
 public:
  Connection(Executor executor, Alarms& alarms, asio::ssl::context& context, bool tls)
      : plain(executor), progress(executor), alarms_(alarms) {
    if (tls) secured.emplace(std::move(*plain), context);
    if (tls) plain.reset();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override { alarms_.clear(*this); }

  PlainSocket& lowest() { return secured ? secured->next_layer() : *plain; }
  // Ends what is under way; it is of no use afterwards.
  void abort() {
    boost::system::error_code ignored;
    aborted_ = true;
    lowest().close(ignored);
    progress.raise();
  }
  bool aborted() const { return aborted_; }

  // What is under way then is aborted, and was late.
  void limit(TimePoint until) {
    until_ = until;
    late_ = false;
    if (until < alarm_) alarms_.set(*this, alarm_ = until);
  }
  // Where there is a limit already: the earlier counts.
  void limit_at_most(TimePoint until) {
    if (until < until_) limit(until);
  }
  // The alarm stays: most requests come long before it, and need not touch it.
  void no_limit() { until_ = TimePoint::max(); }
  bool late() const { return late_; }

  std::optional<PlainSocket> plain;
  std::optional<TlsStream> secured;
  std::string buffer;   // what was read, and belongs to the next answer
  AsyncEvent progress;  // of its coming to be

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
  bool aborted_ = false;
};

}  // namespace sharedlock::client
