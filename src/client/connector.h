#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/task_group.h"
#include "client/alarms.h"
#include "client/connection.h"
#include "client/lookup.h"
#include "client/race.h"
#include "client/url.h"
#include "sharedlock/client.h"

namespace sharedlock::client {

using ConnectionPtr = std::unique_ptr<Connection>;

// The connections to one server: keeps idle ones, and makes missing ones. Connecting continues after the request that
// wanted it has timed out, and serves a later one: so a network that needs longer than one request may take can still
// be used. Use it only on its executor; `alarms` must outlive it.
class Connector {
 public:
  // Throws Failure when the CA file can't be read.
  Connector(Executor executor, Alarms& alarms, const ClientOptions& options, const Url& url);
  ~Connector();

  // A request's wait for a connection.
  class Want final : public Alarms::Target {
   public:
    Want(Executor executor, Alarms& alarms, TimePoint until) : wake_(executor), alarms_(alarms) {
      limit_at_most(until);
    }
    Want(const Want&) = delete;
    Want& operator=(const Want&) = delete;
    ~Want() override { alarms_.clear(*this); }

    void limit_at_most(TimePoint until);
    void abort() { end(nullptr, "it was given up"); }

   private:
    friend class Connector;
    void on_alarm() override;
    void end(ConnectionPtr connection, std::string error);

    AsyncEvent wake_;
    Alarms& alarms_;
    TimePoint until_ = TimePoint::max();
    bool over_ = false;
    bool late_ = false;
    ConnectionPtr connection_;
    std::string error_;
  };

  ConnectionPtr take_idle();
  void keep(ConnectionPtr connection);
  // A new one; none: `error` says which step failed, or takes too long.
  Task<ConnectionPtr> connect(Want* want, std::string* error);

  // Gives up connections in the making. Nothing may be wanted any more.
  void stop();
  // Waits until that has ended; not on the executor.
  void join() { dialing_.join(); }

 private:
  struct Dial {
    Connection* connection;
    Progress progress = {};
    TimePoint begun = {};
  };

  Task<void> dial();
  Task<std::string> establish(Dial* dial);
  Task<std::string> shake_hands(Dial* dial);
  // Which step of it takes longer than allowed.
  std::string why_late(const Dial& dial, std::chrono::milliseconds given) const;
  void hand_over(ConnectionPtr connection, const std::string& error);

  const Executor executor_;
  Alarms& alarms_;
  const Url url_;
  const std::chrono::milliseconds timeout_;
  asio::ssl::context tls_;
  Lookup lookup_;
  std::vector<ConnectionPtr> idle_;
  std::deque<Want*> wanting_;
  std::list<Dial> dials_;
  TaskGroup dialing_;
};

}  // namespace sharedlock::client
