#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "fuzz/conversation.h"
#include "fuzz/framing.h"

namespace sharedlock::fuzz {
namespace {

using testing::SizeIs;
using Statuses = std::vector<int>;

// Each file of the session's corpus, and what its requests are answered with.
const std::map<std::string, Statuses>& expected() {
  static const std::map<std::string, Statuses> table{
      {"bad_id", {500}},
      {"bad_sets", {400, 400, 400}},
      {"bare_lf", {400}},
      {"chosen_id", {201, 201, 409, 400, 400}},
      {"chunked", {201, 200}},
      {"cross_site", {403}},
      {"cut_off", {400}},
      {"empty_lines", {200, 200}},
      {"expect", {201}},
      {"folded", {400}},
      {"gzip", {400}},
      {"head", {200, 404, 200}},
      {"http10", {200, 200}},
      {"lease", {201, 202, 204}},
      {"length_and_chunked", {400}},
      {"lock", {200, 200, 200, 200}},
      {"long_header", {431}},
      {"long_header_and_bad_bytes", {400}},
      {"paths", {400, 400, 400, 200, 404, 403, 405}},
      {"refused_lock", {200, 423}},
      {"request_id", {200, 400}},
      {"request_in_a_body", {405, 200}},
      {"sets", {200, 200, 423, 200}},
      {"too_large", {413}},
      {"two_encodings", {400}},
      {"two_lengths", {400}},
      {"upgrade", {200}},
      {"verify", {200, 200, 400}},
      {"waiting", {200, 400}},  // the client ends while it waits
      {"waiting_set", {200, 400}},
      {"wrong_in_two_ways", {400}},
  };
  return table;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SessionCorpus, EachInputIsAnsweredAsItShouldBe) {
  std::map<std::string, Statuses> found;
  for (const auto& entry : std::filesystem::directory_iterator(SESSION_CORPUS)) {
    Statuses& statuses = found[entry.path().filename()];
    const std::string bytes = bytes_of(entry.path());
    for (const Answer& answer : talk(std::string_view(bytes).substr(1), std::nullopt).answers) {
      statuses.push_back(answer.status);
    }
  }
  EXPECT_EQ(found, expected());
}

TEST(Framing, FindsTheEndsOfRequests) {
  Framing framing = frame(
      "\r\nPOST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nX: y\r\n\r\n"
      "POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nde\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n");
  ASSERT_THAT(framing.requests, SizeIs(3));
  EXPECT_FALSE(framing.rest_is_unclear);
  EXPECT_EQ(framing.requests[0].body, "abc");
  EXPECT_EQ(framing.requests[1].body, "");
  EXPECT_EQ(framing.requests[2].body, "de0123456789");
  EXPECT_THAT(framing.requests[1].target, testing::HasSubstr("/b"));
}

TEST(Framing, WhatTwoServersMayReadDifferentlyIsUnclear) {
  for (const char* fields :
       {"Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: +1\r\n", "Content-Length: 1, 1\r\n",
        "Content-Length : 1\r\n", "X: y\n", "X: y\r\n z\r\n", "Content-Length: \r\n", "Content-Length: 0x1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"}) {
    Framing framing = frame("GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n0\r\n\r\n");
    EXPECT_THAT(framing.requests, SizeIs(0)) << fields;
    EXPECT_TRUE(framing.rest_is_unclear) << fields;
  }
}

}  // namespace
}  // namespace sharedlock::fuzz
