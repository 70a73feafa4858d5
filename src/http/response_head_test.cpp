#include "http/response_head.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;

TEST(DateText, IsAnHttpDate) {
  DateText date;
  EXPECT_EQ(date.at(WallTime(784111777s)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(date.at(WallTime(784111777s + 999ms)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(date.at(WallTime(784111778s)), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(date.at(WallTime(0s)), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(ResponseHead, HasEveryLineOnce) {
  Response response(201, kPlainText, "hello");
  response.add_header("x-lease-ttl", 10);
  std::string head;
  append_head(head, response, {"today", "id", ConnectionHeader::close});
  EXPECT_EQ(head,
            "HTTP/1.1 201 Created\r\nDate: today\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
            "X-Request-Id: id\r\nConnection: close\r\nx-lease-ttl: 10\r\n\r\n");
}

TEST(ResponseHead, HasNumbersBeforeOtherLines) {
  Response response(200);
  response.add_header("X-Text", "text");
  response.add_header("x-fencing-token", 9'223'372'036'854'775'807);
  response.add_header("x-lease-ttl", -1);
  std::string head;
  append_head(head, response, {"today", "id", ConnectionHeader::none});
  EXPECT_EQ(head,
            "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 0\r\nX-Request-Id: id\r\n"
            "x-fencing-token: 9223372036854775807\r\nx-lease-ttl: -1\r\nX-Text: text\r\n\r\n");
}

TEST(ResponseHead, NoContentHasNoLength) {
  std::string head;
  append_head(head, Response(204, kPlainText, "hello"), {"today", "id", ConnectionHeader::none});
  EXPECT_EQ(head, "HTTP/1.1 204 No Content\r\nDate: today\r\nX-Request-Id: id\r\n\r\n");
}

TEST(ResponseHead, IsAppendedWholeHoweverLongItsPartsAre) {
  const std::string id(128, 'i');
  const std::string date(100, 'd');
  const std::string type(200, 't');
  std::string numbers;
  std::string lines;
  Response response(431, type, std::string(100'000, 'b'));
  for (std::int64_t i = 0; i < 20; ++i) {
    response.add_header("X-Number", i - 9'223'372'036'854'775'807);
    response.add_header("X-Text", std::string(50, 'x'));
    bool is_number_kept = response.number_headers().size() > static_cast<std::size_t>(i);
    (is_number_kept ? numbers : lines) += "X-Number: " + std::to_string(i - 9'223'372'036'854'775'807) + "\r\n";
    lines += "X-Text: " + std::string(50, 'x') + "\r\n";
  }
  std::string head = "before";
  append_head(head, response, {date, id, ConnectionHeader::keep_alive});
  EXPECT_EQ(head, "beforeHTTP/1.1 431 Request Header Fields Too Large\r\nDate: " + date + "\r\nContent-Type: " + type +
                      "\r\nContent-Length: 100000\r\nX-Request-Id: " + id + "\r\nConnection: keep-alive\r\n" + numbers +
                      lines + "\r\n");
}

TEST(RequestId, TakesOnlySaneOnes) {
  EXPECT_TRUE(is_sane_request_id("abcXYZ019._:-/+=@"));
  EXPECT_TRUE(is_sane_request_id(std::string(128, 'a')));
  EXPECT_FALSE(is_sane_request_id(std::string(129, 'a')));
  for (const char* id : {"", "a b", "a\"b", "a,b", "\xC3\xA9", "a;b", "<a>"})
    EXPECT_FALSE(is_sane_request_id(id)) << id;
}

TEST(RequestId, FreshOnesDiffer) {
  std::set<RandomHex> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(random_hex());
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_TRUE(is_sane_request_id(std::string_view(ids.begin()->data(), ids.begin()->size())));
}

}  // namespace
}  // namespace sharedlock::http
