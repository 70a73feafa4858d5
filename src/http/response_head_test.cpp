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

TEST(ResponseHead, NoContentHasNoLength) {
  std::string head;
  append_head(head, Response(204, kPlainText, "hello"), {"today", "id", ConnectionHeader::none});
  EXPECT_EQ(head, "HTTP/1.1 204 No Content\r\nDate: today\r\nX-Request-Id: id\r\n\r\n");
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
