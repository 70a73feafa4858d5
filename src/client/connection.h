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

// A connection to the server, or one in the making, with a time limit. Use it only on its executor; `alarms` must
// outlive it.
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
  // Ends all operations; it is unusable afterwards.
  void abort() {
    boost::system::error_code ignored;
    aborted_ = true;
    lowest().close(ignored);
    progress.raise();
  }
  bool aborted() const { return aborted_; }

  // At the limit the operation in progress is aborted, and counts as late.
  void limit(TimePoint until) {
    until_ = until;
    late_ = false;
    if (until < alarm_) alarms_.set(*this, alarm_ = until);
  }
  // If there is a limit already, the earlier one counts.
  void limit_at_most(TimePoint until) {
    if (until < until_) limit(until);
  }
  // The alarm stays: most requests come long before it, and need not touch it.
  void no_limit() { until_ = TimePoint::max(); }
  bool late() const { return late_; }

  std::optional<PlainSocket> plain;
  std::optional<TlsStream> secured;
  std::string buffer;   // what was read of the next answer
  AsyncEvent progress;  // of connecting

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
