#pragma once

#include <cstdint>
#include <string>

#include "load/rate_schedule.h"
#include "load/response_reader.h"
#include "load/target.h"
#include "load/workload.h"

namespace sharedlock::bench {

// One non-blocking connection to the server, with at most one request on it, watched by an epoll set (edge-triggered).
// It knows nothing about the meaning of requests. Owned by one Worker and used only on its thread.
class Connection {
 public:
  enum class State { closed, connecting, idle, waiting };
  enum class Outcome { more, answered, ended, malformed };

  explicit Connection(std::uint32_t tag) : tag_(tag) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  std::uint32_t tag() const { return tag_; }  // identifies its events
  State state() const { return state_; }

  // Begins to connect. False when that is immediately impossible; then it is closed, and errno says why.
  bool open(const SocketAddress& address, int epoll);
  void close();

  // After an event while connecting: idle, or closed when nothing listens, and errno says why.
  void finish_connecting();

  // Sends `request`, on an idle connection. The part that does not go at once goes with send_rest().
  Outcome send(const std::string& request);
  Outcome send_rest();

  // Reads the received bytes, up to the end of an answer: `answered`, and the connection is idle. `ended`: by the peer.
  // `hung_up`: the event said that the peer sends no more.
  Outcome receive(bool hung_up);
  ResponseReader& response() { return reader_; }

  // What its owner has to remember.
  struct Request {
    Call call{};
    std::uint64_t number = 0;
    TimePoint intended;  // when it was to start
    TimePoint sent;
  };
  Request request;
  std::string lease;           // its own; empty: none
  std::uint64_t acquired = 0;  // the number of the lock that it acquired last
  std::size_t step = 0;        // in the calls of the workload
  bool prepared = false;

 private:
  Outcome send_bytes(const char* bytes, std::size_t size);

  const std::uint32_t tag_;
  int socket_ = -1;
  State state_ = State::closed;
  std::string unsent_;
  ResponseReader reader_;
};

}  // namespace sharedlock::bench
