// The body of POST /lease.

#include <boost/json.hpp>
#include <string>

#include "api/lease_codec.h"
#include "base/json_text.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

std::string json_of(const LeaseBody& body) {
  JsonObject json;
  json.text("key", body.key).text("value", body.value);
  if (!body.labels.empty()) json.raw("labels", body.labels);
  if (!body.timestamp.empty()) json.text("timestamp", body.timestamp);
  return json.take();
}

void check_accepted(std::string_view text, const LeaseBody& body) {
  require(!body.key.empty() && body.key.size() <= kLongestLeaseKey, "a key has 1 to 1024 bytes");
  require(is_utf8(body.key) && is_utf8(body.value), "key and value are UTF-8");
  boost::system::error_code failed;
  boost::json::parse_options options;
  options.max_depth = text.size();  // ours steps over unknown members, however deep
  auto json = boost::json::parse(text, failed, {}, options);
  require(!failed && json.is_object(), "what is accepted is a JSON object");
  auto again = parse_lease_body(json_of(body));
  require(again.has_value(), "what is printed is accepted");
  require(again->key == body.key && again->value == body.value && again->timestamp == body.timestamp,
          "what is printed is read as the same body");
  require(again->labels == body.labels, "labels are printed as they were read");
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  std::string_view text = fuzz::text_of(data, size);
  auto body = parse_lease_body(text);
  if (body) {
    fuzz::check_accepted(text, *body);
  } else {
    fuzz::require(!body.error().message.empty() && is_utf8(body.error().message), "a refusal says why, in UTF-8");
    fuzz::require(body.error().message.find_first_of("\r\n") == std::string::npos, "in one line");
    fuzz::require(body.error().message.size() < 1000, "in short");
  }
  return 0;
}
