#include "http/head_scan.h"

#include <gtest/gtest.h>

#include <string>

namespace sharedlock::http {
namespace {

bool is_ordinary(const std::string& text) {
  OrdinaryHead head;
  return scan_head(text, head);
}

std::string get_having(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

TEST(HeadScan, ReadsAllThatThereIs) {
  const std::string text =
      "POST /lease?a=%2F HTTP/1.1\r\nhost: h:80\r\nX-Empty:\r\nX-Long: \t a \t b \t\r\nCONTENT-LENGTH: 5\r\n\r\nhello";
  OrdinaryHead head;
  ASSERT_TRUE(scan_head(text, head));
  EXPECT_EQ(head.size, text.size() - 5);
  EXPECT_EQ(head.method, Method::post);
  EXPECT_EQ(head.target, "/lease?a=%2F");
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_TRUE(head.keep_alive);
  ASSERT_EQ(head.fields.size(), 4u);
  EXPECT_EQ(head.fields[0].name, "host");
  EXPECT_EQ(head.fields[0].value, "h:80");
  EXPECT_EQ(head.fields[1].name, "X-Empty");
  EXPECT_EQ(head.fields[1].value, "");
  EXPECT_EQ(head.fields[2].value, "a \t b");
  EXPECT_EQ(head.fields[3].name, "CONTENT-LENGTH");
}

TEST(HeadScan, KnowsEachMethodThatHasAName) {
  using enum Method;
  for (Method method : {get, head, post, put, delete_, patch, options}) {
    OrdinaryHead found;
    EXPECT_TRUE(scan_head(std::string(name_of(method)) + " / HTTP/1.1\r\nHost: h\r\n\r\n", found));
    EXPECT_EQ(found.method, method);
  }
  for (const char* name : {"BREW", "get", "GE", "GETT", "?", ""}) {
    EXPECT_FALSE(is_ordinary(std::string(name) + " / HTTP/1.1\r\nHost: h\r\n\r\n")) << name;
  }
}

TEST(HeadScan, TheConnectionIsKeptUnlessItSaysClose) {
  auto keeps = [](std::string_view fields) {
    OrdinaryHead head;
    EXPECT_TRUE(scan_head(get_having(fields), head)) << fields;
    return head.keep_alive;
  };
  EXPECT_TRUE(keeps(""));
  EXPECT_TRUE(keeps("Connection: keep-alive\r\n"));
  EXPECT_TRUE(keeps("connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("Connection: close\r\n"));
  EXPECT_FALSE(keeps("Connection: Close \r\n"));
}

TEST(HeadScan, NoBeginningOfAHeadIsOrdinary) {
  const std::string text = get_having("Content-Length: 12\r\nX: y\r\n");
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(is_ordinary(text.substr(0, size))) << size;
  EXPECT_TRUE(is_ordinary(text));
}

TEST(HeadScan, LeavesOtherRequestLinesToTheStrictParser) {
  for (const char* line :
       {"GET / HTTP/1.0", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / http/1.1", "GET /", "GET  / HTTP/1.1",
        "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET /a b HTTP/1.1", "GET\t/ HTTP/1.1",
        "GET /\x7f HTTP/1.1", "GET /\xc3\xa4 HTTP/1.1", "GET  HTTP/1.1", "\r\nGET / HTTP/1.1"}) {
    EXPECT_FALSE(is_ordinary(std::string(line) + "\r\nHost: h\r\n\r\n")) << line;
  }
  EXPECT_FALSE(is_ordinary("GET / HTTP/1.1\nHost: h\n\n"));
}

TEST(HeadScan, LeavesOtherFieldsToTheStrictParser) {
  for (const char* fields : {"Host: h\r\n",
                             "Content-Length: 5\r\nContent-Length: 5\r\n",
                             "Content-Length:\r\n",
                             "Content-Length: +5\r\n",
                             "Content-Length: -5\r\n",
                             "Content-Length: 5, 5\r\n",
                             "Content-Length: 5 5\r\n",
                             "Content-Length: 0x5\r\n",
                             "Content-Length: 18446744073709551616\r\n",
                             "Transfer-Encoding: chunked\r\n",
                             "transfer-encoding: gzip\r\n",
                             "Expect: 100-continue\r\n",
                             "Connection: close, foo\r\n",
                             "Connection: upgrade\r\n",
                             "Connection:\r\n",
                             "Connection: close\r\nConnection: close\r\n",
                             "Proxy-Connection: close\r\n",
                             "X: a\r\n b\r\n",
                             "X:\r\n\tb\r\n",
                             "X : a\r\n",
                             " X: a\r\n",
                             ": a\r\n",
                             "X\r\n",
                             "X.Y: a\r\n",
                             "X: a\nY: b\r\n",
                             "X: a\rY: b\r\n",
                             "X: a\x01\r\n",
                             "X: a\x7f\r\n",
                             "X: \xc3\xa4\r\n"}) {
    EXPECT_FALSE(is_ordinary(get_having(fields))) << fields;
  }
  EXPECT_FALSE(is_ordinary(get_having(std::string_view("X: a\0b\r\n", 8))));
  EXPECT_FALSE(is_ordinary("GET / HTTP/1.1\r\n\r\n")) << "no Host";
}

TEST(HeadScan, TakesThirtyTwoFieldsAtMost) {
  std::string fields;
  for (std::size_t i = 1; i < OrdinaryHead::kMostFields; ++i) fields += "a: b\r\n";
  EXPECT_TRUE(is_ordinary(get_having(fields)));
  EXPECT_FALSE(is_ordinary(get_having(fields + "a: b\r\n")));
}

}  // namespace
}  // namespace sharedlock::http
