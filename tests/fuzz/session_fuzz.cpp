// A whole session: any bytes that a client may send, with the routes of the server and the memory store behind them.
// The first byte of an input says how the rest is cut into pieces; that must make no difference.

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>

#include "fuzz/conversation.h"
#include "fuzz/framing.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

// A session may refuse a request and close. It must neither find a request that is not there nor miss one.
void check_count(const Framing& framing, const std::vector<Answer>& answers) {
  std::size_t most = framing.requests.size() + (framing.rest_is_unclear ? 1 : 0);
  require(answers.size() <= most, "there are no more answers than requests");
  bool closed = !answers.empty() && answers.back().closes;
  require(closed || answers.size() == framing.requests.size(), "each request is answered while the connection is open");
}

// A proxy before the server must have seen the same requests that its handlers see.
void check_seen(const Framing& framing, const std::vector<Seen>& seen) {
  auto next = framing.requests.begin();
  for (const Seen& request : seen) {
    next = std::find_if(next, framing.requests.end(), [&request](const Framed& framed) {
      return framed.body == request.body && framed.target.find(request.path) != std::string::npos;
    });
    require(next != framing.requests.end(), "what a handler sees was sent as a request, with that body");
    ++next;
  }
}

void check(const Framing& framing, const Talk& talk) {
  check_count(framing, talk.answers);
  check_seen(framing, talk.seen);
  for (const Answer& answer : talk.answers) {
    bool bad_id = answer.status == 500 && answer.body.starts_with("Failed to parse lease id");
    require(answer.status < 500 || answer.status == 505 || bad_id || answer.body.empty(),
            "a client can't make the server fail");
  }
}

// A request with two faults may be refused for either, depending on how much of it had arrived when it was parsed.
bool alike(const Answer& a, const Answer& b) {
  bool both_refuse = a.closes && b.closes && a.status / 100 == 4 && b.status / 100 == 4;
  return a.status == b.status || both_refuse;
}

// Whether a client waits for `100 Continue` changes the answers, and rightly so.
bool expects(std::string_view input) {
  std::string lower(input);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.find("expect") != std::string::npos;
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock::fuzz;
  if (size == 0) return 0;
  std::string_view input = text_of(data + 1, size - 1);
  const Talk whole = talk(input, std::nullopt);
  const Talk pieces = talk(input, data[0]);
  const Framing framing = frame(input);
  check(framing, whole);
  check(framing, pieces);
  bool same = std::ranges::equal(whole.answers, pieces.answers, alike);
  require(same || expects(input), "the answers don't depend on how the requests were cut into pieces");
  return 0;
}
