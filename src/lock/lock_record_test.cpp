#include "lock/lock_record.h"

#include <gmock/gmock.h>

namespace sharedlock {
namespace {

using testing::HasSubstr;

constexpr std::string_view kPlain =
    R"({"namespace":"default","lockName":"job","owner":"me","instanceId":"inst-1","leaseDuration":30,"expiry":1700000000})";

Entry entry_of(std::string value, std::int64_t revision = 100) {
  return {std::move(value), LeaseId{5}, Revision{50}, Revision{revision}};
}

TEST(LockRecord, IsWrittenInTheLayoutOfTheSeed) {
  LockRecord record{.lock = {"default", "job"},
                    .holder = {"me", "inst-1"},
                    .duration = std::chrono::seconds(30),
                    .expiry = EpochSeconds(std::chrono::seconds(1'700'000'000)),
                    .carried_token = std::nullopt,
                    .unknown_members = {}};
  EXPECT_EQ(to_json(record), kPlain);
  record.carried_token = FencingToken{77};
  EXPECT_THAT(to_json(record), testing::EndsWith(R"("expiry":1700000000,"fencingToken":77})"));
}

TEST(LockRecord, ReadsWhatItWrites) {
  auto record = parse_lock_record(kPlain);
  ASSERT_TRUE(record);
  EXPECT_EQ(to_json(*record), kPlain);
  EXPECT_EQ(record->holder, (Holder{"me", "inst-1"}));
  EXPECT_EQ(record->duration, std::chrono::seconds(30));
  EXPECT_EQ(record->expiry.time_since_epoch(), std::chrono::seconds(1'700'000'000));
}

TEST(LockRecord, OfTheLongestNamesHasTheSameLayout) {
  const std::string ns(64, 'n');
  const std::string name(64, 'l');
  const std::string owner(300, 'o');
  const std::string instance(64, 'i');
  LockRecord record{.lock = {ns, name},
                    .holder = {owner, instance},
                    .duration = std::chrono::seconds(86'400),
                    .expiry = kNeverExpires,
                    .carried_token = FencingToken{9'223'372'036'854'775'807},
                    .unknown_members = R"(,"note":1.50)"};
  EXPECT_EQ(to_json(record),
            R"({"namespace":")" + ns + R"(","lockName":")" + name + R"(","owner":")" + owner + R"(","instanceId":")" +
                instance + R"(","leaseDuration":86400,"expiry":253402300799,"fencingToken":9223372036854775807,)" +
                R"("note":1.50})");
}

TEST(LockRecord, OwnersOfAnyTextSurvive) {
  LockRecord record = parse_lock_record(kPlain).value();
  for (std::string owner : {"a\"b\\c", "line\nbreak\ttab\x01", "ünïcödé \xF0\x9F\x94\x92", ""}) {
    record.holder.owner = owner;
    auto again = parse_lock_record(to_json(record));
    ASSERT_TRUE(again) << to_json(record);
    EXPECT_EQ(again->holder.owner, owner);
  }
}

TEST(LockRecord, SafetyR30_UnknownMembersAreKeptAsTheirText) {
  auto record = parse_lock_record(
      "{ \"a\" : 1.50 , \"owner\":\"me\",\"instanceId\":\"i\\\"}\",\"nested\":{\"x\":[1,{\"y\":\"},\\\"\"}]},\n"
      "\"leaseDuration\":30,\"big\":123456789012345678901234567890,\"expiry\":5 , \"last\":null }");
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(
      record->unknown_members,
      ",\"a\" : 1.50,\"nested\":{\"x\":[1,{\"y\":\"},\\\"\"}]},\"big\":123456789012345678901234567890,\"last\":null");
  auto again = parse_lock_record(to_json(*record));
  ASSERT_TRUE(again) << to_json(*record);
  EXPECT_EQ(again->unknown_members, record->unknown_members);
}

TEST(LockRecord, KnownMembersWrittenWithEscapesAreNotUnknown) {
  auto record = parse_lock_record(R"({"\u006fwner":"me","instanceId":"i","leaseDuration":1,"expiry":2})");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->holder.owner, "me");
  EXPECT_EQ(record->unknown_members, "");
}

TEST(LockRecord, WithoutAnOwnerIsNobodysWhoAsks) {
  const std::string text =
      R"({"namespace":"default","lockName":"job","owner":null,"instanceId":"inst-1","leaseDuration":30,"expiry":1700000000})";
  auto record = parse_lock_record(text);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(to_json(*record), text);
  for (const char* owner : {"", "null", "anonymous"}) EXPECT_NE(record->holder, (Holder{owner, "inst-1"})) << owner;
  auto lock = read_held_lock(entry_of(text));
  ASSERT_TRUE(lock);
  EXPECT_EQ(owner_of(*lock), std::nullopt);
  EXPECT_EQ(owner_of(read_held_lock(entry_of(std::string(kPlain))).value()), "me");
}

class GarbageRecord : public testing::TestWithParam<const char*> {};

TEST_P(GarbageRecord, IsCorrupt) {
  auto record = parse_lock_record(GetParam());
  ASSERT_FALSE(record) << GetParam();
  EXPECT_EQ(record.error().code, Errc::corrupt);
  EXPECT_THAT(record.error().message, HasSubstr("lock record unreadable"));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GarbageRecord,
    testing::Values("", "garbage", "[]", "null", "{}",
                    "{\"owner\":1,\"instanceId\":\"i\",\"leaseDuration\":1,\"expiry\":2}",
                    R"({"instanceId":"i","leaseDuration":1,"expiry":2})",
                    R"({"owner":null,"instanceId":null,"leaseDuration":1,"expiry":2})",
                    R"({"owner":"o","leaseDuration":1,"expiry":2})", R"({"owner":"o","instanceId":"i","expiry":2})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":"1","expiry":2})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":2.5})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":1e400})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":-1,"expiry":2})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":99999999999999999999})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":9223372036854775807})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":2,"fencingToken":"3"})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":2,"fencingToken":0})",
                    R"({"owner":"o","instanceId":"i","leaseDuration":1,"expiry":2} trailing)"));

TEST(HeldLock, TokenIsTheEntrysRevisionUntilARenewalCarriesOne) {
  auto lock = read_held_lock(entry_of(std::string(kPlain), 100));
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->token, FencingToken{100});
  EXPECT_EQ(lock->revision, Revision{100});

  LockRecord renewed = lock->record;
  renewed.carried_token = FencingToken{100};
  auto carried = read_held_lock(entry_of(to_json(renewed), 140));
  ASSERT_TRUE(carried);
  EXPECT_EQ(carried->token, FencingToken{100});
  EXPECT_EQ(carried->revision, Revision{140});
}

TEST(HeldLock, SafetyR30_ATokenAboveTheEntrysRevisionIsGarbage) {
  LockRecord forged = parse_lock_record(kPlain).value();
  forged.carried_token = FencingToken{101};
  auto lock = read_held_lock(entry_of(to_json(forged), 100));
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace sharedlock
