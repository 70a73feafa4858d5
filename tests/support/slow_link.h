#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/io_threads.h"
#include "base/task_group.h"

namespace sharedlock::test {

// A way to a server on `address` that may be slow: what the server sends arrives later by what delay() says, and what
// is sent to it by what delay_requests() says, also after the client has gone. It may come to lead to another one. Ends
// with its connections when destroyed.
class SlowLink {
 public:
  SlowLink(const std::string& address, std::uint16_t port);
  SlowLink(const SlowLink&) = delete;
  SlowLink& operator=(const SlowLink&) = delete;
  ~SlowLink();

  // Where to connect to instead: "http://address:port".
  std::string url() const;

  void delay(std::chrono::milliseconds by) { delay_ = by; }
  void delay_requests(std::chrono::milliseconds by) { delay_requests_ = by; }

  // Bytes that have reached the server.
  std::uint64_t delivered() const { return delivered_; }

  // Cuts all connections; from then on it leads to that port.
  void lead_to(std::uint16_t port);

 private:
  struct Connection;
  struct Way;
  Task<void> accept_all();
  Task<void> end();
  Task<void> turn_to(std::uint16_t port);
  void cut();
  Task<void> take(std::shared_ptr<Connection> connection, Way* way);
  Task<void> pass_on(std::shared_ptr<Connection> connection, Way* way);

  std::atomic<std::chrono::milliseconds> delay_{std::chrono::milliseconds(0)};
  std::atomic<std::chrono::milliseconds> delay_requests_{std::chrono::milliseconds(0)};
  std::atomic<std::uint64_t> delivered_ = 0;
  boost::asio::ip::tcp::endpoint server_;
  IoThreads threads_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Connection>> connections_;
  TaskGroup tasks_;
};

}  // namespace sharedlock::test
