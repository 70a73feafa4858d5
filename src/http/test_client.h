#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sharedlock::http {

// A response as received.
struct TestResponse {
  int status = 0;
  std::string reason;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The value of the first header of that name (without regard to case).
  std::optional<std::string> header(std::string_view name) const;
};

// A blocking client for tests that sends exactly the bytes it is given. It waits for anything at most 10 s and then
// throws std::runtime_error, so that no test hangs.
class TestClient {
 public:
  // Connects to 127.0.0.1.
  explicit TestClient(std::uint16_t port) : TestClient("127.0.0.1", port) {}
  // Connects to an IP address; from the address `from`, unless that is empty.
  TestClient(const std::string& to, std::uint16_t port, const std::string& from = {});
  TestClient(TestClient&& other) noexcept;
  TestClient& operator=(TestClient&&) = delete;
  ~TestClient();

  // Sends all bytes; throws when the peer has closed.
  void send(std::string_view bytes);

  // Sends until the peer closes; returns how many bytes the peer took.
  std::size_t send_until_closed(std::string_view bytes);

  // Sends a request (a Host header is added; Content-Length when there is a body, or the method is POST). `headers` are
  // whole lines, each ended by CR LF.
  void send_request(std::string_view method, std::string_view target, std::string_view body = {},
                    std::string_view headers = {});

  // Whether any part of an answer, or the end of the stream, arrives within that time.
  bool is_answered_within(std::chrono::milliseconds time);

  // Reads one response. Its body ends by Content-Length, by chunks, or else at the end of the stream.
  TestResponse read_response();

  // The same for an answer to HEAD, which has no body whatever its headers say.
  TestResponse read_head_response();

  // Sends a request and reads its response.
  TestResponse request(std::string_view method, std::string_view target, std::string_view body = {},
                       std::string_view headers = {});

  // Everything up to the end of the stream; a reset ends it too.
  std::string read_to_end();

  // Bytes that arrive within `milliseconds`; for showing that none do.
  std::string read_for(int milliseconds);

  // Until the server's kernel has all that was sent.
  void wait_until_received();
  void finish_sending();
  void reset();  // closes so that the peer sees a reset

 private:
  bool read_more(int milliseconds);
  std::string take_line();
  std::string take(std::size_t count);
  TestResponse read_head();
  void read_body(TestResponse& response);
  std::string read_chunks();

  int socket_ = -1;
  std::string input_;
  bool ended_ = false;
};

}  // namespace sharedlock::http
