// Lock records as they lie in the store, where other programs write too.

#include <boost/json.hpp>
#include <string>

#include "fuzz/target.h"
#include "lock/lock_record.h"

namespace sharedlock::fuzz {
namespace {

bool equal(const LockRecord& a, const LockRecord& b) {
  return a.lock.namespace_name == b.lock.namespace_name && a.lock.name == b.lock.name && a.holder == b.holder &&
         a.duration == b.duration && a.expiry == b.expiry && a.carried_token == b.carried_token &&
         a.unknown_members == b.unknown_members;
}

void check_accepted(const LockRecord& record) {
  require(record.duration.count() >= 0 && record.expiry.time_since_epoch().count() >= 0, "times are not negative");
  require(!record.carried_token || number_of(*record.carried_token) > 0, "a carried token is positive");
  std::string printed = to_json(record);
  boost::system::error_code failed;
  auto json = boost::json::parse(printed, failed);
  require(!failed && json.is_object(), "what is printed is JSON");
  auto again = parse_lock_record(printed);
  require(again.has_value(), "what is printed is accepted");
  require(equal(*again, record), "what is printed is read as the same record");
  require(to_json(*again) == printed, "and is then printed the same");
}

void check_held(std::string_view text, const Result<LockRecord>& record) {
  for (std::int64_t revision : {std::int64_t{1}, std::int64_t{1'000'000}, INT64_MAX}) {
    Entry entry{
        .value = std::string(text), .lease = LeaseId{1}, .created = Revision{1}, .revision = Revision{revision}};
    auto held = read_held_lock(entry);
    require(!held || record, "a lock is held only by a record that can be read");
    if (!held) require(held.error().code == Errc::corrupt, "an unreadable record is corrupt and nothing else");
    if (held) {
      require(number_of(held->token) > 0 && number_of(held->token) <= revision, "a token is not above its revision");
    }
  }
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  std::string_view text = fuzz::text_of(data, size);
  auto record = parse_lock_record(text);
  if (record) fuzz::check_accepted(*record);
  fuzz::check_held(text, record);
  return 0;
}
