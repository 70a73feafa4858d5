// What an idle connection costs, whatever it has asked for before.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/test_server.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// From <sanitizer/allocator_interface.h>, which Debian's g++ comes without.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace sharedlock::http {
namespace {

// So many connections that the allocator's per-thread caches do not matter.
constexpr int kConnections = 256;
constexpr std::size_t kAllowed = 8 * 1024;

// Of the whole process.
std::size_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

std::string get_with(std::string_view headers) {
  return "GET /headers HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n";
}

// The memory of both ends of a connection, which for the client's is next to nothing, after `request` was answered
// with `status`.
void expect_little_kept_after(const std::string& request, int status) {
  TestServer server;
  std::vector<TestClient> clients;
  clients.reserve(kConnections);
  std::size_t before = allocated_bytes();
  for (int i = 0; i < kConnections; ++i) {
    TestClient& client = clients.emplace_back(server.port());
    client.send(request);
    ASSERT_EQ(client.read_response().status, status);
    EXPECT_EQ(client.read_for(0), "");  // gives back what the client's buffer has grown to
  }
  std::size_t each = 0;
  bool little = eventually([&] {
    std::size_t now = allocated_bytes();
    each = now > before ? (now - before) / kConnections : 0;
    return each <= kAllowed;
  });
  EXPECT_TRUE(little) << each << " bytes for each connection";
  testing::Test::RecordProperty("bytes", static_cast<int>(each));
}

TEST(SessionMemory, LittleIsKeptAfterASmallRequest) {
  expect_little_kept_after(get_with(""), 200);
}

TEST(SessionMemory, LittleIsKeptAfterALargeHeader) {
  expect_little_kept_after(get_with("X: " + std::string(15'000, 'x') + "\r\n"), 200);
}

TEST(SessionMemory, LittleIsKeptAfterManyHeaderLines) {
  std::string lines;
  for (int i = 0; i < 127; ++i) lines += "a:\r\n";
  expect_little_kept_after(get_with(lines), 200);
}

TEST(SessionMemory, LittleIsKeptAfterALargeBodyAndAnswer) {
  std::string body(64 * 1024, 'b');
  std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size());
  expect_little_kept_after(head + "\r\n\r\n" + body, 201);
}

// No part of it is large enough to be given back.
TEST(SessionMemory, LittleIsKeptAfterARequestOfMiddlingSize) {
  std::string lines = "Content-Length: 500\r\nX: " + std::string(700, 'x') + "\r\n";
  for (int i = 0; i < 13; ++i) lines += "a: b\r\n";
  expect_little_kept_after("POST /echo HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" + std::string(500, 'b'), 201);
}

TEST(SessionMemory, LittleIsKeptAfterALargePath) {
  std::string path = "/v1/" + std::string(7'000, 'a') + "/lock/" + std::string(7'000, 'b');
  expect_little_kept_after("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", 200);
}

TEST(SessionMemory, LittleIsKeptAfterALargeEncodedPath) {
  std::string path = "/v1/%20" + std::string(7'000, 'a') + "/lock/%20" + std::string(7'000, 'b');
  expect_little_kept_after("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", 200);
}

// The header stands in memory once, for the handler; the buffer it was read into, which had grown with it, is gone.
TEST(SessionMemory, NoReadBufferIsKeptWhileARequestWaits) {
  constexpr std::size_t kHeader = 15'000;
  TestServer server;
  std::vector<TestClient> clients;
  clients.reserve(kConnections);
  std::size_t before = allocated_bytes();
  for (int i = 0; i < kConnections; ++i) {
    clients.emplace_back(server.port())
        .send("GET /waiting HTTP/1.1\r\nHost: h\r\nX: " + std::string(kHeader, 'x') + "\r\n\r\n");
  }
  ASSERT_TRUE(eventually([&] { return server.gate.entered == kConnections; }));
  EXPECT_LE((allocated_bytes() - before) / kConnections, kHeader + kAllowed);
}

}  // namespace
}  // namespace sharedlock::http
