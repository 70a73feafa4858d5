// The body of a request of either API, read in both ways: what the scan of ordinary bodies reads, the strict parser
// must read as the same.

#include <string_view>

#include "api/flat_object.h"
#include "api/flat_scan.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  std::string_view text = fuzz::text_of(data, size);
  auto strict = parse_json_strictly(text);
  auto scanned = scan_flat(text);
  if (scanned) {
    fuzz::require(strict.has_value(), "the scan reads nothing that the strict parser refuses");
    fuzz::require(*scanned == *strict, "both read it as the same");
  }
  auto body = parse_json_body(text);
  fuzz::require(body.has_value() == strict.has_value(), "a body is refused if the strict parser refuses it");
  if (body) fuzz::require(*body == *strict, "and is otherwise what that reads");
  if (!body) fuzz::require(body.error().message == strict.error().message, "in its words");
  return 0;
}
