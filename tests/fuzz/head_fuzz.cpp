// Requests as they stand in a read buffer, one behind the other: the scanner of ordinary heads accepts nothing that the
// strict way refuses, and both read the same.

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
  require(are_same(head.headers(), strict.headers()), "and the same fields");
  require(head.content_length == strict.content_length(), "and the same length of its body");
  require(head.keep_alive == strict.keep_alive(), "and the same wish for the connection");
  require(strict.http11() && strict.expectation() == RequestParser::Expectation::none, "and is an ordinary one");
}

void check_alike(RequestParser::Progress one, RequestParser::Progress other, const RequestParser& a,
                 const RequestParser& b) {
  require(one.step == other.step && one.used == other.used, "both ways come equally far");
  require(a.refusal().status == b.refusal().status && a.refusal().reason == b.refusal().reason,
          "both ways refuse for the same reason");
  require(a.method() == b.method() && a.method_name() == b.method_name(), "both ways see the same method");
  require(a.target() == b.target() && are_same(a.headers(), b.headers()), "both ways see the same target and fields");
  require(a.http11() == b.http11() && a.keep_alive() == b.keep_alive(), "both ways see the same version and wish");
  require(a.expectation() == b.expectation(), "both ways see the same expectation");
  require(a.has_body() == b.has_body() && a.content_length() == b.content_length(), "both ways see if a body follows");
  require(a.begun() == b.begun() && a.body() == b.body(), "both ways read the same body");
}

// Takes the first request off `text`; false if there is none, or no whole one.
bool check_request(std::string_view& text, RequestParser& parser, RequestParser& strict) {
  parser.reset();
  strict.reset();
  auto progress = parser.parse_header(text);
  auto expected = strict.parse_header(text);
  check_alike(progress, expected, parser, strict);
  OrdinaryHead head;
  if (http::scan_head(text.substr(0, kLimits.header), head)) check_scanned(head, expected, strict);
  text.remove_prefix(progress.used);
  if (progress.step != Step::complete) return false;
  progress = parser.parse_body(text);
  check_alike(progress, strict.parse_body(text), parser, strict);
  text.remove_prefix(progress.used);
  return progress.step == Step::complete;
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock::fuzz;
  std::string_view text = text_of(data, size);
  RequestParser parser(kLimits);
  RequestParser strict(kLimits, RequestParser::Mode::always_strict);
  bool goes_on = true;
  while (goes_on && !text.empty()) goes_on = check_request(text, parser, strict);
  return 0;
}
