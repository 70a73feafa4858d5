// The body of POST /keepalive.

#include <charconv>
#include <string>

#include "api/lease_codec.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  std::string_view text = fuzz::text_of(data, size);
  auto id = parse_lease_id(text);
  // Every int64 in plain notation is accepted, whatever was read before.
  if (size >= sizeof(std::int64_t)) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof bits; ++i) bits = bits << 8 | data[i];
    auto number = static_cast<std::int64_t>(bits);
    auto read = parse_lease_id(" \t" + std::to_string(number) + "\r\n");
    fuzz::require(read && number_of(*read) == number, "every int64 is accepted, with white space around it");
  }
  if (!id) {
    fuzz::require(!id.error().message.empty(), "a refusal says why");
    return 0;
  }
  std::string digits = std::to_string(number_of(*id));
  auto printed = parse_lease_id(digits);
  fuzz::require(printed && *printed == *id, "what is printed is read as the same id");
  auto spaced = parse_lease_id("\n" + std::string(text) + " ");
  fuzz::require(spaced && *spaced == *id, "white space around it changes nothing");
  fuzz::require(text.find_first_not_of("+-0123456789 \t\r\n") == std::string_view::npos,
                "an accepted id holds only digits, a sign and white space");
  return 0;
}
