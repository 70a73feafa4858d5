#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sharedlock::http {
namespace {

using Step = RequestParser::Step;

constexpr ParserLimits kLimits{.header = 1024, .body = 100};

// Feeds `text` in pieces of `piece` bytes and keeps what was not used, as a session does. Returns the last step, with
// the header and the body read as far as they go; `rest` is what was left over.
Step feed(RequestParser& parser, std::string_view text, std::size_t piece, std::string* rest = nullptr) {
  std::string buffer;
  bool in_body = false;
  Step step = Step::need_more;
  auto run = [&] {
    for (;;) {
      auto progress = in_body ? parser.parse_body(buffer) : parser.parse_header(buffer);
      buffer.erase(0, progress.used);
      step = progress.step;
      if (in_body || step != Step::complete) return;
      in_body = true;
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    buffer += text.substr(at, piece);
    run();
    if (step != Step::need_more) {
      if (rest != nullptr) *rest = buffer + std::string(text.substr(std::min(at + piece, text.size())));
      return step;
    }
  }
  return step;
}

// Everything must be the same whether or not ordinary headers are scanned.
class RequestParserTest : public testing::TestWithParam<RequestParser::Mode> {
 protected:
  RequestParser make_parser() const { return RequestParser(kLimits, GetParam()); }

  // How the request is refused, whole and byte by byte; 0 when it is not.
  int refused_with(const std::string& text) const {
    RequestParser whole = make_parser();
    int status = feed(whole, text, text.size()) == Step::refused ? whole.refusal().status : 0;
    RequestParser bytewise = make_parser();
    Step step = feed(bytewise, text, 1);
    // Byte by byte a broken header may not be seen before its end; it must never pass.
    EXPECT_NE(step, status != 0 ? Step::complete : Step::refused) << text;
    return status;
  }
};

INSTANTIATE_TEST_SUITE_P(Modes, RequestParserTest,
                         testing::Values(RequestParser::Mode::ordinary_first, RequestParser::Mode::always_strict),
                         [](const testing::TestParamInfo<RequestParser::Mode>& mode) {
                           bool strict = mode.param == RequestParser::Mode::always_strict;
                           return std::string(strict ? "AlwaysStrict" : "OrdinaryFirst");
                         });

std::string with(std::string_view lines) {
  return "POST /p HTTP/1.1\r\nHost: h\r\n" + std::string(lines) + "\r\nhello";
}

std::string chunked(std::string_view body) {
  return "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
}

TEST_P(RequestParserTest, ReadsARequestInPiecesOfAnySize) {
  const std::string text =
      "POST /lease?a=b HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-Long: \t a b \t\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestParser parser = make_parser();
    ASSERT_EQ(feed(parser, text, piece), Step::complete) << piece;
    EXPECT_EQ(parser.method(), Method::post);
    EXPECT_EQ(parser.target(), "/lease?a=b");
    ASSERT_EQ(parser.headers().size(), 4u);
    EXPECT_EQ(parser.headers()[1].name, "X-Empty");
    EXPECT_EQ(parser.headers()[1].value, "");
    EXPECT_EQ(parser.headers()[2].value, "a b");
    EXPECT_EQ(parser.body(), "hello");
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST_P(RequestParserTest, ReadsChunksInPiecesOfAnySize) {
  const std::string text = chunked("5\r\nhello\r\n1;x=\"y\"\r\n!\r\n0\r\nX-Trailer: t\r\nHost: other\r\n\r\nGET");
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestParser parser = make_parser();
    std::string rest;
    ASSERT_EQ(feed(parser, text, piece, &rest), Step::complete) << piece;
    EXPECT_EQ(parser.body(), "hello!");
    EXPECT_EQ(parser.headers().size(), 2u) << "trailers are not headers";
    EXPECT_EQ(rest, "GET");
  }
}

TEST_P(RequestParserTest, ReadsAnEmptyChunkedBodyInPiecesOfAnySize) {
  const std::string text = chunked("0\r\n\r\n");
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    RequestParser parser = make_parser();
    ASSERT_EQ(feed(parser, text, piece), Step::complete) << piece;
    EXPECT_EQ(parser.body(), "");
  }
}

TEST_P(RequestParserTest, ServesOneRequestAfterAnother) {
  RequestParser parser = make_parser();
  for (int i = 0; i < 3; ++i) {
    parser.reset();
    ASSERT_EQ(feed(parser, with("Content-Length: 5\r\n"), 7), Step::complete);
    EXPECT_EQ(parser.body(), "hello");
    EXPECT_EQ(parser.headers().size(), 2u);
  }
}

TEST_P(RequestParserTest, ServesOrdinaryAndOtherRequestsInTurn) {
  RequestParser parser = make_parser();
  for (int i = 0; i < 3; ++i) {
    const std::string plain = with("Connection: close\r\nContent-Length: 5\r\n");
    parser.reset();
    ASSERT_EQ(feed(parser, plain, plain.size()), Step::complete);
    EXPECT_EQ(parser.body(), "hello");
    EXPECT_EQ(parser.content_length(), 5u);
    EXPECT_EQ(parser.headers().size(), 3u);
    EXPECT_FALSE(parser.keep_alive());
    const std::string chunks = chunked("2\r\nab\r\n0\r\n\r\n");
    parser.reset();
    ASSERT_EQ(feed(parser, chunks, chunks.size()), Step::complete);
    EXPECT_EQ(parser.body(), "ab");
    EXPECT_EQ(parser.content_length(), std::nullopt);
    EXPECT_EQ(parser.headers().size(), 2u);
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST_P(RequestParserTest, ToleratesAFewEmptyLinesBeforeTheRequest) {
  RequestParser parser = make_parser();
  EXPECT_EQ(feed(parser, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 1), Step::complete);
  std::string many;
  for (int i = 0; i < 20; ++i) many += "\r\n";
  EXPECT_EQ(refused_with(many + "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

// What is left of it begins like a request, once its first line has been used.
TEST_P(RequestParserTest, TheRestOfARequestIsNotTakenForAnother) {
  const std::string_view line = "POST /x HTTP/1.1\r\n";
  RequestParser parser = make_parser();
  auto first = parser.parse_header(line);
  ASSERT_EQ(first.step, Step::need_more);
  ASSERT_EQ(first.used, line.size());
  EXPECT_EQ(parser.parse_header("GET / HTTP/1.1\r\nHost: h\r\n\r\n").step, Step::refused);
  EXPECT_EQ(parser.refusal().status, 400);
}

TEST_P(RequestParserTest, RefusesMoreThan128HeaderLines) {
  std::string lines;
  for (int i = 0; i < 127; ++i) lines += "a:\r\n";
  EXPECT_EQ(refused_with(with(lines)), 0);
  EXPECT_EQ(refused_with(with(lines + "a:\r\n")), 431);
}

TEST_P(RequestParserTest, RefusesWhatTwoParsersCouldReadDifferently) {
  for (const char* lines : {"Content-Length: 5\r\nContent-Length: 6\r\n",
                            "Content-Length: 5\r\nContent-Length: 5\r\n",
                            "Content-Length: 5, 5\r\n",
                            "Content-Length: 5,\r\n",
                            "Content-Length: +5\r\n",
                            "Content-Length: -5\r\n",
                            "Content-Length: 0x5\r\n",
                            "Content-Length: 5 5\r\n",
                            "Content-Length:\r\n",
                            "Content-Length: 18446744073709551616\r\n",
                            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                            "Transfer-Encoding: gzip\r\n",
                            "Transfer-Encoding: chunked, gzip\r\n",
                            "Transfer-Encoding: gzip, chunked\r\n",
                            "Transfer-Encoding: chunked, chunked\r\n",
                            "Transfer-Encoding: identity\r\n",
                            "Transfer-Encoding:\r\n",
                            "Transfer-Encoding: \"chunked\"\r\n",
                            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                            "Transfer-Encoding: xchunked\r\n",
                            "Transfer-Encoding: chunked;q=1\r\n",
                            "Transfer-Encoding:\r\n chunked\r\n",
                            "X: a\r\n b\r\n",
                            "X: a\r\n\tb\r\n",
                            "X:\r\n b\r\n",
                            "X: a\r\n \r\n",
                            "X:\r\n \r\n",
                            "X : a\r\n",
                            " X: a\r\n",
                            "X\t: a\r\n",
                            ": a\r\n",
                            "X\r\n",
                            "X: a\nY: b\r\n",
                            "X: a\rY: b\r\n",
                            "X: a\x01\r\n",
                            "X: a\x7f\r\n",
                            "X(: a\r\n",
                            "Host: other\r\n",
                            "Transfer-Encoding : chunked\r\n"}) {
    EXPECT_EQ(refused_with(with(lines)), 400) << lines;
  }
  EXPECT_EQ(refused_with(with(std::string_view("X: a\0b\r\n", 8))), 400);
}

TEST_P(RequestParserTest, RefusesMalformedRequestLines) {
  for (const char* line :
       {"GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ",
        "GET / http/1.1", "G@T / HTTP/1.1", " GET / HTTP/1.1", "GET /a b HTTP/1.1", "GET / HTTP/1.1\n", "/ HTTP/1.1"}) {
    EXPECT_EQ(refused_with(std::string(line) + "\r\nHost: h\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(refused_with("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(refused_with("\x16\x03\x01\x02\x01\x01"), 400) << "TLS on a plain port";
}

TEST_P(RequestParserTest, RefusesHttp11WithoutHost) {
  EXPECT_EQ(refused_with("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refused_with("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST_P(RequestParserTest, RefusesTransferEncodingInHttp10) {
  EXPECT_EQ(refused_with("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST_P(RequestParserTest, TakesChunkedInAnyCase) {
  EXPECT_EQ(refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"), 0);
}

TEST_P(RequestParserTest, RefusesMalformedChunks) {
  for (const char* body :
       {"x\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhelloX0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n", "5 ;\r\nhello\r\n0\r\n\r\n", "5;=\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n", "11111111111111111\r\nhello\r\n0\r\n\r\n", "0\r\nContent-Length: 1\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "0;a=\"\n\"\r\n\r\n",
        "0\r\nX : y\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    int status = refused_with(chunked(body));
    EXPECT_EQ(status, 400) << body;
  }
}

TEST_P(RequestParserTest, HeaderLimitCountsEveryByteInPiecesOfAnySize) {
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  auto padded_to = [&](std::size_t size) {
    std::string text = start;
    while (text.size() + 60 < size) text += "X: aaaaaaaaaaaaaaaaaaaa\r\n";
    return text + "Y: " + std::string(size - text.size() - 7, 'y') + "\r\n\r\n";
  };
  for (std::size_t piece : {1u, 2u, 3u, 10u, 100u, 2000u}) {
    RequestParser fits = make_parser();
    ASSERT_EQ(padded_to(1024).size(), 1024u);
    EXPECT_EQ(feed(fits, padded_to(1024), piece), Step::complete) << piece;
    RequestParser exceeds = make_parser();
    EXPECT_EQ(feed(exceeds, padded_to(1025), piece), Step::refused) << piece;
    EXPECT_EQ(exceeds.refusal().status, 431);
    RequestParser endless = make_parser();
    EXPECT_EQ(feed(endless, "GET /" + std::string(5000, 'a'), piece), Step::refused) << piece;
    EXPECT_EQ(endless.refusal().status, 431);
  }
}

TEST_P(RequestParserTest, BodyLimitHoldsForChunksToo) {
  std::string text = chunked("32\r\n" + std::string(50, 'a') + "\r\n32\r\n" + std::string(50, 'b') + "\r\n0\r\n\r\n");
  EXPECT_EQ(refused_with(text), 0);
  text = chunked("32\r\n" + std::string(50, 'a') + "\r\n33\r\n" + std::string(51, 'b') + "\r\n0\r\n\r\n");
  EXPECT_EQ(refused_with(text), 413);
  EXPECT_EQ(refused_with(chunked("ffffffffffffffff\r\n")), 413);
}

TEST_P(RequestParserTest, ATooLargeContentLengthStillShowsTheHeader) {
  RequestParser parser = make_parser();
  const std::string text = with("Content-Length: 101\r\n");
  EXPECT_EQ(parser.parse_header(text).step, Step::complete);
  EXPECT_EQ(parser.content_length(), 101u);
  EXPECT_EQ(parser.parse_body("h").step, Step::refused);
  EXPECT_EQ(parser.refusal().status, 413);
}

TEST_P(RequestParserTest, ChunkExtensionsAndTrailersDoNotEscapeTheLimit) {
  for (std::size_t piece : {1u, 3u, 100u, 100000u}) {
    RequestParser extension = make_parser();
    EXPECT_EQ(feed(extension, chunked("5;" + std::string(5000, 'x')), piece), Step::refused) << piece;
    EXPECT_EQ(extension.refusal().status, 400);
    RequestParser trailers = make_parser();
    std::string many;
    for (int i = 0; i < 500; ++i) many += "X-Trailer: t\r\n";
    EXPECT_EQ(feed(trailers, chunked("0\r\n" + many), piece), Step::refused) << piece;
    EXPECT_EQ(trailers.refusal().status, 400);
    RequestParser extensions = make_parser();
    std::string small;
    for (int i = 0; i < 90; ++i) small += "1;aaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n";
    EXPECT_EQ(feed(extensions, chunked(small + "0\r\n\r\n"), piece), Step::refused) << piece;
  }
}

TEST_P(RequestParserTest, KeepAliveFollowsVersionAndConnection) {
  auto keeps = [this](const std::string& text) {
    RequestParser parser = make_parser();
    EXPECT_EQ(feed(parser, text, text.size()), Step::complete);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST_P(RequestParserTest, KnowsExpectations) {
  using enum RequestParser::Expectation;
  auto expectation = [this](const std::string& text) {
    RequestParser parser = make_parser();
    EXPECT_EQ(parser.parse_header(text).step, Step::complete);
    return parser.expectation();
  };
  EXPECT_EQ(expectation(with("Content-Length: 5\r\nExpect: 100-Continue\r\n")), continue_);
  EXPECT_EQ(expectation(with("Content-Length: 5\r\nExpect: 200-ok\r\n")), unknown);
  EXPECT_EQ(expectation(with("Content-Length: 5\r\n")), none);
  EXPECT_EQ(expectation("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"), none);
}

}  // namespace
}  // namespace sharedlock::http
