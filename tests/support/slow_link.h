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

// A way to a server on `address` that may be slow: what the server sends arrives later by what delay() says; what is
// sent to it arrives at once. Ends with its connections when destroyed.
class SlowLink {
 public:
  SlowLink(const std::string& address, std::uint16_t port);
  SlowLink(const SlowLink&) = delete;
  SlowLink& operator=(const SlowLink&) = delete;
  ~SlowLink();

  // Where to connect to instead: "http://address:port".
  std::string url() const;

  void delay(std::chrono::milliseconds by) { delay_ = by; }

 private:
  struct Connection;
  Task<void> accept_all();
  Task<void> close();
  Task<void> pass_to_server(std::shared_ptr<Connection> connection);
  Task<void> take_from_server(std::shared_ptr<Connection> connection);
  Task<void> pass_to_client(std::shared_ptr<Connection> connection);

  std::atomic<std::chrono::milliseconds> delay_{std::chrono::milliseconds(0)};
  boost::asio::ip::tcp::endpoint server_;
  IoThreads threads_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Connection>> connections_;
  TaskGroup tasks_;
};

}  // namespace sharedlock::test
