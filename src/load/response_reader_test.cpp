#include "load/response_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace sharedlock::bench {
namespace {

using Progress = ResponseReader::Progress;

// As many bytes at a time as `step`; stops at the first answer that is not `more`.
Progress feed(ResponseReader& reader, std::string_view bytes, std::size_t step = std::string_view::npos) {
  Progress progress = Progress::more;
  while (!bytes.empty() && progress == Progress::more) {
    auto space = reader.space();
    std::size_t count = std::min({bytes.size(), step, space.size()});
    std::ranges::copy(bytes.substr(0, count), space.begin());
    bytes.remove_prefix(count);
    progress = reader.received(count);
  }
  EXPECT_TRUE(bytes.empty() || progress == Progress::malformed) << "ended before its last byte";
  return progress;
}

constexpr std::string_view kGranted =
    "HTTP/1.1 201 Created\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 19\r\nX-Request-Id: 0123456789abcdef\r\n\r\n1530347234591243342";

TEST(BenchResponseReader, OneAnswerInOnePiece) {
  ResponseReader reader;
  EXPECT_EQ(feed(reader, kGranted), Progress::complete);
  EXPECT_EQ(reader.status(), 201);
  EXPECT_EQ(reader.body(), "1530347234591243342");
  EXPECT_FALSE(reader.last_on_connection());
}

TEST(BenchResponseReader, PiecesOfAnySize) {
  ResponseReader reader;
  for (std::size_t step = 1; step < kGranted.size(); ++step) {
    ASSERT_EQ(feed(reader, kGranted, step), Progress::complete) << step;
    ASSERT_EQ(reader.status(), 201) << step;
    ASSERT_EQ(reader.body(), "1530347234591243342") << step;
    reader.next();
  }
}

TEST(BenchResponseReader, StatusesWithoutABodyEndWithTheirHead) {
  ResponseReader reader;
  EXPECT_EQ(feed(reader, "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"), Progress::complete);
  EXPECT_EQ(reader.status(), 204);
  EXPECT_EQ(reader.body(), "");
}

TEST(BenchResponseReader, HeaderNamesHaveNoCase) {
  ResponseReader reader;
  EXPECT_EQ(feed(reader, "HTTP/1.1 202 Accepted\r\ncONTENT-lENGTH:\t 2 \r\nCONNECTION: Close\r\n\r\nok"),
            Progress::complete);
  EXPECT_EQ(reader.body(), "ok");
  EXPECT_TRUE(reader.last_on_connection());
  reader.next();
  EXPECT_EQ(feed(reader, kGranted), Progress::complete);
  EXPECT_FALSE(reader.last_on_connection());
}

TEST(BenchResponseReader, OnlyTheBeginningOfALongBodyIsKept) {
  std::string body(100'000, 'x');
  body.replace(0, 5, "begin");
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (std::size_t step : {std::size_t{1}, std::size_t{1000}, answer.size()}) {
    ResponseReader reader;
    ASSERT_EQ(feed(reader, answer, step), Progress::complete) << step;
    EXPECT_TRUE(reader.body().starts_with("begin"));
  }
}

TEST(BenchResponseReader, UnsupportedAnswersAreMalformed) {
  for (std::string answer : {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nDate: x\r\n\r\n",                 // no length
                             "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",     //
                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nthree",  // more than announced
                             "HTTP/2 200\r\nContent-Length: 0\r\n\r\n",            //
                             "SSH-2.0-OpenSSH_9.2\r\n\r\n",                        //
                             "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"}) {
    ResponseReader reader;
    EXPECT_EQ(feed(reader, answer), Progress::malformed) << answer;
  }
}

TEST(BenchResponseReader, AHeadWithoutEndIsMalformed) {
  ResponseReader reader;
  std::string answer = "HTTP/1.1 200 OK\r\n";
  while (answer.size() < 5000) answer += "X-More: and more\r\n";
  EXPECT_EQ(feed(reader, answer), Progress::malformed);
}

}  // namespace
}  // namespace sharedlock::bench
