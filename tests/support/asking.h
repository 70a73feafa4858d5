#pragma once

#include <stdexcept>
#include <string>

#include "http/test_client.h"
#include "support/server_process.h"

namespace sharedlock::test {

// One POST on a connection of its own; its answer is read later.
class Asking {
 public:
  // `headers`: whole lines.
  Asking(const ServerProcess& server, const std::string& path, const std::string& body, const std::string& headers = "")
      : client_(server.connect()) {
    client_.send("POST " + path + " HTTP/1.1\r\nHost: h\r\n" + headers +
                 "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  // Reads of the client end after 10 s: this one after `tries` of them.
  http::TestResponse answer(int tries = 6) {
    for (;;) {
      try {
        return client_.read_response();
      } catch (const std::runtime_error&) {
        if (--tries == 0) throw;
      }
    }
  }
  bool is_silent(int milliseconds = 50) { return client_.read_for(milliseconds).empty(); }
  void disconnect() { client_.finish_sending(); }
  void reset() { client_.reset(); }

 private:
  http::TestClient client_;
};

}  // namespace sharedlock::test
