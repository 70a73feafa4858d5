// Durations as settings and headers hold them.

#include <algorithm>
#include <string>

#include "api/lease_codec.h"
#include "base/go_duration.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

using namespace std::chrono_literals;

void check_value(std::string_view text, std::chrono::nanoseconds value) {
  require(text.find_first_not_of("+-.0123456789nums\xc2\xb5\xce\xbch") == std::string_view::npos,
          "an accepted duration holds only digits, a point, signs and letters of units");
  require(parse_go_duration(to_go_duration(value)) == value, "what is printed is read as the same value");
  bool is_signed = text.starts_with('-') || text.starts_with('+');
  std::string negative = is_signed ? "-" + std::string(text.substr(1)) : "-" + std::string(text);
  std::chrono::nanoseconds magnitude = text.starts_with('-') ? value : -value;
  require(parse_go_duration(negative) == magnitude, "a minus changes the sign and nothing else");
  if (text != "0" && text != "+0" && text != "-0") {
    require(parse_go_duration(std::string(text) + "0s") == value, "a further term of nothing adds nothing");
  }
}

// `largest` as the setting allows it: not below a second.
void check_ttl(std::string_view text, std::chrono::nanoseconds largest) {
  auto value = parse_go_duration(text);
  auto ttl = parse_lease_ttl(text, largest);
  bool in_range = value && *value > 0ns && *value <= largest;
  require(ttl.has_value() == in_range,
          "a ttl is accepted if it is a positive duration up to the largest, and only then");
  if (ttl) require(*ttl >= 1s && *ttl >= *value && *ttl - *value < 1s + 1s, "a ttl is rounded up to whole seconds");
  if (!ttl) require(ttl.error().code == Errc::invalid_argument && !ttl.error().message.empty(), "a refusal says why");
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock::fuzz;
  std::string_view text = text_of(data, size);
  if (auto value = sharedlock::parse_go_duration(text)) check_value(text, *value);
  check_ttl(text, std::chrono::hours(24));
  check_ttl(text, std::chrono::seconds(9'000'000'000));
  return 0;
}
