// Whether ordinary headers are scanned must make no difference but in time and in kept().
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_parser.h"
#include "support/effort.h"

namespace sharedlock::http {
namespace {

using Mode = RequestParser::Mode;

constexpr ParserLimits kModesLimits{.header = 1024, .body = 100};

constexpr std::string_view kOrdinaryHead =
    "GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nX-Any: a b\r\n\r\n";

constexpr std::string_view kManyRequests[] = {
    kOrdinaryHead, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi"};

// Has no common factor with 256, so that every byte is tried, each in other places.
constexpr std::size_t kEveryNthChange = test::kFullSpeed ? 1 : 7;

// What a parser made of a request. The views live until it reads another.
struct Outcome {
  RequestParser::Step step = RequestParser::Step::need_more;
  std::size_t used = 0;
  int status = 0;
  std::string_view reason;
  std::string_view method;
  std::string_view target;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  bool http11 = false;
  bool keep_alive = false;
  bool has_body = false;
  std::optional<std::uint64_t> length;
  RequestParser::Expectation expectation = RequestParser::Expectation::none;
  std::string_view body;

  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(std::string_view text, RequestParser& parser) {
  parser.reset();
  auto [used, step] = parser.parse_header(text);
  if (step == RequestParser::Step::complete) {
    auto body = parser.parse_body(text.substr(used));
    used += body.used;
    step = body.step;
  }
  Outcome outcome{.step = step,
                  .used = used,
                  .status = parser.refusal().status,
                  .reason = parser.refusal().reason,
                  .method = parser.method_name(),
                  .target = parser.target(),
                  .fields = {},
                  .http11 = parser.http11(),
                  .keep_alive = parser.keep_alive(),
                  .has_body = parser.has_body(),
                  .length = parser.content_length(),
                  .expectation = parser.expectation(),
                  .body = parser.body()};
  for (const Header& field : parser.headers()) outcome.fields.emplace_back(field.name, field.value);
  return outcome;
}

TEST(RequestParserModes, BothModesAgreeWhateverByteIsChanged) {
  RequestParser usual(kModesLimits, Mode::ordinary_first);
  RequestParser strict(kModesLimits, Mode::always_strict);
  auto agree_on = [&](std::string_view text) { return outcome_of(text, usual) == outcome_of(text, strict); };
  for (std::string_view request : kManyRequests) {
    ASSERT_EQ(outcome_of(request, usual).step, RequestParser::Step::complete) << request;
    for (std::size_t change = 0; change < request.size() * 256; change += kEveryNthChange) {
      std::size_t at = change / 256;
      char byte = static_cast<char>(change % 256);
      std::string changed(request);
      changed[at] = byte;
      ASSERT_TRUE(agree_on(changed)) << testing::PrintToString(changed);
      changed = request;
      changed.insert(at, 1, byte);
      ASSERT_TRUE(agree_on(changed)) << testing::PrintToString(changed);
    }
  }
}

// Otherwise the test above would compare the strict way with itself.
TEST(RequestParserModes, AnOrdinaryHeadInOnePieceIsScannedAndKeptWhole) {
  RequestParser usual(kModesLimits, Mode::ordinary_first);
  RequestParser strict(kModesLimits, Mode::always_strict);
  ASSERT_EQ(usual.parse_header(kOrdinaryHead).step, RequestParser::Step::complete);
  ASSERT_EQ(strict.parse_header(kOrdinaryHead).step, RequestParser::Step::complete);
  EXPECT_EQ(usual.kept(), kOrdinaryHead.size());
  EXPECT_LT(strict.kept(), kOrdinaryHead.size());
}

}  // namespace
}  // namespace sharedlock::http
