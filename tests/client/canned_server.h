#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sharedlock::test {

// A server on loopback that answers what it is told to, for answers that no server of ours gives.
class CannedServer {
 public:
  // `answer` is given a request as it came, and returns all that is to be sent; empty: the connection is closed. Called
  // on a thread for each connection.
  explicit CannedServer(std::function<std::string(const std::string& request)> answer);
  ~CannedServer();

  std::string url() const;

  static std::string response(int status, const std::string& body, const std::string& headers = "");

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sharedlock::test
