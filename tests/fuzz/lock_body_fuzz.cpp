// The bodies of acquire, renew and release. The first byte says which.

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <string>

#include "api/lock_codec.h"
#include "base/json_text.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

constexpr std::array<LockBodySchema, 3> kSchemas = {kAcquireBody, kRenewBody, kReleaseBody};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string json_of(const LockBody& body, LockBodySchema schema) {
  JsonObject json;
  json.text("instanceId", body.instance);
  if (schema.duration) json.number("leaseDuration", body.duration.count());
  if (schema.from && body.from == RenewFrom::now) json.text("from", "now");
  if (body.token) json.number("fencingToken", number_of(*body.token));
  return json.take();
}

void check_accepted(const LockBody& body, LockBodySchema schema) {
  require(body.instance.size() >= 3 && body.instance.size() <= 64, "an instance id has 3 to 64 characters");
  require(std::ranges::all_of(body.instance, is_name_character), "of letters, digits, dashes and underscores");
  if (schema.duration) {
    require(body.duration.count() >= 1 && body.duration <= kLongestLeaseDuration, "a duration is 1 to 86400 s");
  }
  require(schema.token || !body.token, "there is no token where none is allowed");
  auto again = parse_lock_body(json_of(body, schema), schema);
  auto* read = std::get_if<LockBody>(&again);
  require(read != nullptr, "what is printed is accepted");
  require(read->instance == body.instance && read->duration == body.duration && read->from == body.from &&
              read->token == body.token,
          "what is printed is read as the same body");
}

void check_refused(const ValidationErrors& errors) {
  require(!errors.empty(), "a refusal says why");
  boost::system::error_code failed;
  auto json = boost::json::parse(validation_json("JSON validation failed", errors), failed);
  require(!failed && json.is_object() && json.get_object().at("details").as_array().size() == errors.size(),
          "the answer to a refused body is JSON, with a detail for each error");
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  if (size == 0) return 0;
  LockBodySchema schema = fuzz::kSchemas[data[0] % fuzz::kSchemas.size()];
  auto body = parse_lock_body(fuzz::text_of(data + 1, size - 1), schema);
  if (auto* accepted = std::get_if<LockBody>(&body)) fuzz::check_accepted(*accepted, schema);
  if (auto* errors = std::get_if<ValidationErrors>(&body)) fuzz::check_refused(*errors);
  return 0;
}
