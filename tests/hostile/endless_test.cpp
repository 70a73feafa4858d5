// Clients that never come to an end: with a header, a body, trailers, a request, or with not reading.
#include <chrono>

#include "hostile/under_attack.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::size_t kStream = 600 * kMiB;

class Endless : public UnderAttack {
 protected:
  explicit Endless(const Environment& more = {}) : UnderAttack(more) {}

  // Sends `start` and then `more`, 600 MB of it, as long as the server takes it. Expects it to be cut off early, with
  // this status, and the server's memory to have grown by next to nothing.
  void expect_cut_off(std::string_view start, std::string_view more, int status) {
    TestClient client = connect();
    client.send(start);
    std::string block;
    while (block.size() < kMiB) block += more;
    std::size_t taken = 0;
    for (std::size_t step = block.size(); step == block.size() && taken < kStream; taken += step) {
      step = client.send_until_closed(block);
    }
    // Most of what was taken never left the kernel's buffers.
    EXPECT_LT(taken, 32 * kMiB);
    EXPECT_EQ(client.read_response().status, status);
    EXPECT_TRUE(eventually_connections(0));
    expect_memory_grew_no_more_than(2 * kMiB);
  }

  const std::string chunked_ = post_head("/lease", "Transfer-Encoding: chunked\r\n");
};

TEST_F(Endless, ChunkExtension) {
  expect_cut_off(chunked_ + "1;", "extension", 400);
}

TEST_F(Endless, ChunkExtensions) {
  expect_cut_off(chunked_, "1;a=b\r\nx\r\n", 400);
}

TEST_F(Endless, ChunksOfOneByte) {
  expect_cut_off(chunked_, "1\r\nx\r\n", 400);
}

TEST_F(Endless, Chunks) {
  expect_cut_off(chunked_, "400\r\n" + std::string(0x400, 'x') + "\r\n", 413);
}

TEST_F(Endless, Chunk) {
  expect_cut_off(chunked_ + "7fffffffffffffff\r\n", "x", 413);
}

TEST_F(Endless, TrailerLines) {
  expect_cut_off(chunked_ + "0\r\n", "X-Trailer: value\r\n", 400);
}

TEST_F(Endless, TrailerLine) {
  expect_cut_off(chunked_ + "0\r\nX-Trailer: ", "value", 400);
}

TEST_F(Endless, Body) {
  expect_cut_off(post_head("/lease", "Content-Length: 9223372036854775807\r\n"), "x", 413);
}

TEST_F(Endless, HeaderLines) {
  expect_cut_off("GET /health HTTP/1.1\r\nHost: h\r\n", "X: value\r\n", 431);
}

TEST_F(Endless, HeaderLine) {
  expect_cut_off("GET /health HTTP/1.1\r\nHost: h\r\nX: ", "value", 431);
}

TEST_F(Endless, HeaderName) {
  expect_cut_off("GET /health HTTP/1.1\r\nHost: h\r\nX", "x", 431);
}

TEST_F(Endless, Target) {
  expect_cut_off("GET /", "x", 431);
}

TEST_F(Endless, Method) {
  expect_cut_off("G", "G", 431);
}

TEST_F(Endless, EmptyLines) {
  expect_cut_off("", "\r\n", 400);
}

class Unread : public Endless {
 protected:
  Unread() : Endless({{"SHARED_LOCK_SERVER_WRITE_TIMEOUT", "1s"}}) {}
};

// One request is answered at a time, and nothing is read while an answer can't be sent.
TEST_F(Unread, PipelinedRequestsAreNotHoarded) {
  TestClient client = connect();
  std::string block;
  while (block.size() < kMiB) block += kGetMetrics;
  std::size_t taken = 0;
  for (std::size_t step = block.size(); step == block.size() && taken < kStream; taken += step) {
    step = client.send_until_closed(block);
  }
  EXPECT_LT(taken, 32 * kMiB) << "until the write timeout";
  EXPECT_TRUE(eventually_connections(0));
  expect_memory_grew_no_more_than(2 * kMiB);
}

}  // namespace
}  // namespace sharedlock::test
