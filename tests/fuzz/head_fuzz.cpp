// Requests as they stand in a read buffer, one behind the other: the scanner of ordinary heads accepts nothing that the
// strict way refuses, and both read the same. The first byte of an input says where each request is cut in two; that
// must make no difference either.

#include <algorithm>
#include <span>
#include <string_view>

#include "fuzz/target.h"
#include "http/head_scan.h"
#include "http/request_parser.h"

namespace sharedlock::fuzz {
namespace {

using http::Header;
using http::OrdinaryHead;
using http::RequestParser;
using Step = RequestParser::Step;

// Small limits, so that short inputs reach them.
constexpr http::ParserLimits kLimits{.header = 1024, .body = 512};

bool are_same(std::span<const Header> some, std::span<const Header> others) {
  return std::ranges::equal(some, others,
                            [](const Header& a, const Header& b) { return a.name == b.name && a.value == b.value; });
}

void check_scanned(const OrdinaryHead& head, RequestParser::Progress progress, const RequestParser& strict) {
  require(progress.step == Step::complete, "what is scanned is accepted");
  require(progress.used == head.size, "a scanned head ends where the strict one does");
  require(head.method == strict.method() && head.target == strict.target(), "and has the same method and target");
  require(are_same(head.fields, strict.headers()), "and the same fields");
  require(head.content_length == strict.content_length(), "and the same length of its body");
  require(head.keep_alive == strict.keep_alive(), "and the same wish for the connection");
  require(strict.http11() && strict.expectation() == RequestParser::Expectation::none, "and is an ordinary one");
}

void check_same_request(const RequestParser& a, const RequestParser& b) {
  require(a.method() == b.method() && a.method_name() == b.method_name(), "both ways see the same method");
  require(a.target() == b.target() && are_same(a.headers(), b.headers()), "both ways see the same target and fields");
  require(a.http11() == b.http11() && a.keep_alive() == b.keep_alive(), "both ways see the same version and wish");
  require(a.expectation() == b.expectation(), "both ways see the same expectation");
  require(a.has_body() == b.has_body() && a.content_length() == b.content_length(), "both ways see if a body follows");
  require(a.begun() == b.begun() && a.body() == b.body(), "both ways read the same body");
}

void check_alike(RequestParser::Progress one, RequestParser::Progress other, const RequestParser& a,
                 const RequestParser& b) {
  require(one.step == other.step && one.used == other.used, "both ways come equally far");
  require(a.refusal().status == b.refusal().status && a.refusal().reason == b.refusal().reason,
          "both ways refuse for the same reason");
  check_same_request(a, b);
}

struct Parsers {
  RequestParser usual{kLimits};
  RequestParser strict{kLimits, RequestParser::Mode::always_strict};
  RequestParser in_pieces{kLimits};
};

// How far a parser has come with a request.
struct Reading {
  std::size_t used = 0;
  Step step = Step::need_more;
  bool in_body = false;
};

// Goes on from there, with all of the request that has arrived, as a session does.
Reading read_on(std::string_view arrived, Reading reading, RequestParser& parser) {
  auto take = [&](RequestParser::Progress progress) {
    reading.used += progress.used;
    reading.step = progress.step;
  };
  if (!reading.in_body) {
    take(parser.parse_header(arrived.substr(reading.used)));
    if (reading.step != Step::complete) return reading;
    reading.in_body = true;
  }
  take(parser.parse_body(arrived.substr(reading.used)));
  return reading;
}

// Whether cutting the request in two leads to the same. A fault may then be seen as another, or only when more arrives;
// it must never pass.
void check_pieces(std::string_view text, std::size_t cut, const Reading& whole, const RequestParser& parser,
                  RequestParser& in_pieces) {
  in_pieces.reset();
  Reading reading = read_on(text.substr(0, cut), {}, in_pieces);
  if (reading.step == Step::need_more) reading = read_on(text, reading, in_pieces);
  bool same = (reading.step == Step::complete) == (whole.step == Step::complete);
  require(same, "a request is accepted in pieces if it is in one");
  if (whole.step != Step::complete) return;
  require(reading.used == whole.used, "a request in pieces ends where it does in one");
  check_same_request(in_pieces, parser);
}

// Takes the first request off `text`; false if there is none, or no whole one.
bool check_request(std::string_view& text, unsigned char where, Parsers& parsers) {
  auto& [usual, strict, in_pieces] = parsers;
  usual.reset();
  strict.reset();
  auto progress = usual.parse_header(text);
  auto expected = strict.parse_header(text);
  check_alike(progress, expected, usual, strict);
  OrdinaryHead head;
  if (http::scan_head(text.substr(0, kLimits.header), head)) check_scanned(head, expected, strict);
  Reading whole{progress.used, progress.step};
  if (progress.step == Step::complete) {
    std::string_view rest = text.substr(progress.used);
    progress = usual.parse_body(rest);
    check_alike(progress, strict.parse_body(rest), usual, strict);
    whole = {whole.used + progress.used, progress.step, true};
  }
  check_pieces(text, text.size() * where / 256, whole, usual, in_pieces);
  text.remove_prefix(whole.used);
  return whole.step == Step::complete;
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock::fuzz;
  if (size == 0) return 0;
  std::string_view text = text_of(data + 1, size - 1);
  Parsers parsers;
  bool goes_on = true;
  while (goes_on && !text.empty()) goes_on = check_request(text, data[0], parsers);
  return 0;
}
