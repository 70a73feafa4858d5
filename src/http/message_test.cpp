#include "http/message.h"

#include <gtest/gtest.h>

#include <array>

namespace sharedlock::http {
namespace {

TEST(Request, FindsAHeaderWithoutRegardToCase) {
  std::array headers{Header{"X-A", "1"}, Header{"x-b", "2"}, Header{"X-B", "3"}};
  Request request;
  request.headers = headers;
  EXPECT_EQ(request.header("X-B"), "2");
  EXPECT_EQ(request.header("x-a"), "1");
  EXPECT_EQ(request.header("x-c"), std::nullopt);
}

TEST(Response, AHeaderValueCannotStartALineOfItsOwn) {
  Response response(200);
  response.add_header("X-Text", std::string_view("a\r\nSet-Cookie: b\0c", 18));
  EXPECT_EQ(response.header_lines(), "X-Text: aSet-Cookie: bc\r\n");
}

TEST(Response, NumbersBeyondTheUsualOnesAreLines) {
  Response response(200);
  response.add_header("X-First", -5);
  response.add_header("X-Text", "text");
  response.add_header("X-Second", 6);
  response.add_header("X-Third", -7);
  auto numbers = response.number_headers();
  ASSERT_EQ(numbers.size(), 2u);
  EXPECT_EQ(numbers[0].name, "X-First");
  EXPECT_EQ(numbers[0].value, -5);
  EXPECT_EQ(numbers[1].name, "X-Second");
  EXPECT_EQ(numbers[1].value, 6);
  EXPECT_EQ(response.header_lines(), "X-Text: text\r\nX-Third: -7\r\n");
}

TEST(ReasonPhrase, KnowsWhatWeSend) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(201), "Created");
  EXPECT_EQ(reason_phrase(423), "Locked");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
  EXPECT_EQ(reason_phrase(299), "Unknown");
  EXPECT_EQ(reason_phrase(999), "Unknown");
}

}  // namespace
}  // namespace sharedlock::http
