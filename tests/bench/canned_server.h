#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace sharedlock::test {

struct CannedAnswer {
  std::string bytes;
  bool then_close = false;
};

// A server on a loopback port that answers requests without a body as it is told to. /metrics it does not have.
class CannedServer {
 public:
  using Script = std::function<CannedAnswer(std::size_t request)>;  // from 0; called on one thread for each connection

  explicit CannedServer(Script script);
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;
  ~CannedServer();  // ends all connections

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void serve();
  void serve_connection(int socket);
  bool wait_for_bytes(int socket) const;  // false: it is to end

  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> requests_{0};
  std::atomic<bool> ends_{false};
  std::vector<std::thread> connections_;  // of the thread that accepts
  std::thread thread_;
};

}  // namespace sharedlock::test
