// The bodies of acquire, renew, release and verify, and those of sets. The first byte, from '0' on, says which.

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <set>
#include <string>

#include "api/lock_codec.h"
#include "base/json_text.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

constexpr std::array<LockBodySchema, 7> kSchemas = {kAcquireBody,    kRenewBody,    kReleaseBody,   kVerifyBody,
                                                    kAcquireSetBody, kRenewSetBody, kReleaseSetBody};
constexpr std::size_t kFirst = '0';

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string json_of(const LockBody& body, LockBodySchema schema) {
  JsonObject json;
  if (schema.names) {
    std::string names;
    for (const std::string& name : body.names) names += (names.empty() ? "[\"" : ",\"") + name + '"';
    json.raw("names", names + ']');
  }
  if (schema.instance) json.text("instanceId", body.instance);
  if (schema.duration) json.number("leaseDuration", body.duration.count());
  if (schema.from && body.from == RenewFrom::now) json.text("from", "now");
  if (body.token) json.number("fencingToken", number_of(*body.token));
  if (schema.wait) json.number("wait", body.wait.count()).number("keepPlace", body.keep_place.count());
  return json.take();
}

void check_name(const std::string& name) {
  require(name.size() >= 3 && name.size() <= 64, "names and instance ids have 3 to 64 characters");
  require(std::ranges::all_of(name, is_name_character), "of letters, digits, dashes and underscores");
}

void check_accepted(const LockBody& body, LockBodySchema schema) {
  if (schema.instance) check_name(body.instance);
  require(schema.names == !body.names.empty() && body.names.size() <= kMostInSet, "a set has 1 to 32 names");
  std::ranges::for_each(body.names, check_name);
  require(std::set<std::string>(body.names.begin(), body.names.end()).size() == body.names.size(), "all different");
  require(body.wait.count() >= 0 && body.wait <= kLongestWait, "a wait is 0 to 3600 s");
  require(body.keep_place.count() >= 0 && body.keep_place <= kLongestKeptPlace, "a place is kept for 0 to 10 s");
  require(schema.wait || (body.wait.count() == 0 && body.keep_place.count() == 0),
          "there is no wait where none is allowed");
  require(!schema.needs_token || body.token.has_value(), "there is a token where one is needed");
  if (schema.duration) {
    require(body.duration.count() >= 1 && body.duration <= kLongestLeaseDuration, "a duration is 1 to 86400 s");
  }
  require(schema.token || !body.token, "there is no token where none is allowed");
  auto again = parse_lock_body(json_of(body, schema), schema);
  auto* read = std::get_if<LockBody>(&again);
  require(read != nullptr, "what is printed is accepted");
  require(read->instance == body.instance && read->duration == body.duration && read->from == body.from &&
              read->token == body.token && read->names == body.names && read->wait == body.wait &&
              read->keep_place == body.keep_place,
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
  LockBodySchema schema =
      fuzz::kSchemas[(data[0] + fuzz::kSchemas.size() - fuzz::kFirst % fuzz::kSchemas.size()) % fuzz::kSchemas.size()];
  auto body = parse_lock_body(fuzz::text_of(data + 1, size - 1), schema);
  if (auto* accepted = std::get_if<LockBody>(&body)) fuzz::check_accepted(*accepted, schema);
  if (auto* errors = std::get_if<ValidationErrors>(&body)) fuzz::check_refused(*errors);
  return 0;
}
