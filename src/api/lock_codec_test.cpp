#include "api/lock_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::StartsWith;

LockBody good(const std::string& body, LockBodySchema schema) {
  auto read = parse_lock_body(body, schema);
  if (auto* errors = std::get_if<ValidationErrors>(&read)) throw std::runtime_error(body + ": " + errors->front());
  return std::get<LockBody>(read);
}

ValidationErrors errors_of(const std::string& body, LockBodySchema schema) {
  auto read = parse_lock_body(body, schema);
  auto* errors = std::get_if<ValidationErrors>(&read);
  return errors ? *errors : ValidationErrors{};
}

std::string undefined(const std::string& name) {
  return "$: property '" + name + "' is not defined in the schema and the schema does not allow additional properties";
}

constexpr char kNoInstance[] = "$: required property 'instanceId' not found";
constexpr char kNoDuration[] = "$: required property 'leaseDuration' not found";
constexpr char kDurationTooSmall[] = "$.leaseDuration: must have a minimum value of 1";
constexpr char kDurationTooLarge[] = "$.leaseDuration: must have a maximum value of 86400";
constexpr char kInstanceTooShort[] = "$.instanceId: must be at least 3 characters long";
constexpr char kInstanceTooLong[] = "$.instanceId: must be at most 64 characters long";
constexpr char kInstancePattern[] = "$.instanceId: does not match the regex pattern ^[a-zA-Z0-9_-]+$";

std::string acquire_body(const std::string& instance, const std::string& duration = "30") {
  return R"({"instanceId":)" + instance + R"(,"leaseDuration":)" + duration + "}";
}

TEST(LockBody, ReadsAnAcquire) {
  LockBody body = good(R"({"instanceId":"instance-1","leaseDuration":30})", kAcquireBody);
  EXPECT_EQ(body.instance, "instance-1");
  EXPECT_EQ(body.duration, 30s);
}

TEST(LockBody, ReadsARenewal) {
  LockBody plain = good(R"({"leaseDuration":86400,"instanceId":"abc"})", kRenewBody);
  EXPECT_EQ(plain.duration, 86400s);
  EXPECT_EQ(plain.from, RenewFrom::expiry);
  EXPECT_FALSE(plain.token);
  LockBody heartbeat = good(R"({"instanceId":"abc","leaseDuration":1,"from":"now","fencingToken":7})", kRenewBody);
  EXPECT_EQ(heartbeat.from, RenewFrom::now);
  EXPECT_EQ(heartbeat.token, FencingToken{7});
}

TEST(LockBody, ReadsARelease) {
  EXPECT_FALSE(good(R"({"instanceId":"abc"})", kReleaseBody).token);
  LockBody body = good(R"({"fencingToken":9007199254740991,"instanceId":"abc"})", kReleaseBody);
  EXPECT_EQ(body.instance, "abc");
  EXPECT_EQ(body.token, FencingToken{9007199254740991});
}

// Python's json.dumps(30.0) writes 30.0, and JSON Schema calls it an integer.
TEST(LockBody, WholeNumbersAreIntegersInEveryNotation) {
  for (const char* thirty : {"30", "30.0", "3e1", "3.0E+1", "300e-1"}) {
    LockBody body = good(acquire_body(R"("abc")", std::string(thirty) + R"(,"wait":)" + thirty), kAcquireBody);
    EXPECT_EQ(body.duration, 30s) << thirty;
    EXPECT_EQ(body.wait, 30s) << thirty;
    body = good(R"({"instanceId":"abc","fencingToken":)" + std::string(thirty) + "}", kReleaseBody);
    EXPECT_EQ(body.token, FencingToken{30}) << thirty;
  }
  LockBody exact = good(R"({"instanceId":"abc","fencingToken":9007199254740993.0})", kReleaseBody);
  EXPECT_EQ(exact.token, FencingToken{9007199254740993});
}

TEST(LockBody, TheLastOfRepeatedMembersCounts) {
  LockBody body = good(R"({"instanceId":5,"leaseDuration":0,"instanceId":"abc","leaseDuration":2})", kAcquireBody);
  EXPECT_EQ(body.instance, "abc");
  EXPECT_EQ(body.duration, 2s);
  EXPECT_THAT(errors_of(R"({"instanceId":"abc","leaseDuration":2,"leaseDuration":0})", kAcquireBody),
              ElementsAre(kDurationTooSmall));
}

struct BodyCase {
  std::string body;
  ValidationErrors errors;
};

// Everything that is about the body as a whole.
TEST(LockBody, FaultsOfAcquireAsAWholeAreListedInSchemaOrder) {
  const BodyCase cases[] = {
      {"", {"body is not JSON at byte 1: ''"}},
      {"'", {"body is not JSON at byte 1: '''"}},
      {"\xEF\xBB\xBF{}",
       {"body is not JSON at byte 1: '??"
        "?{}'"}},
      {"[]", {"$: array found, object expected"}},
      {"null", {"$: null found, object expected"}},
      {"7", {"$: integer found, object expected"}},
      {"7.0", {"$: number found, object expected"}},
      {"7.5", {"$: number found, object expected"}},
      {"true", {"$: boolean found, object expected"}},
      {R"("a")", {"$: string found, object expected"}},
      {"{}", {kNoInstance, kNoDuration}},
      {R"({"instanceId":"abc"})", {kNoDuration}},
      {R"({"leaseDuration":1})", {kNoInstance}},
      {R"({"InstanceId":"abc","leaseDuration":1})", {undefined("InstanceId"), kNoInstance}},
      {R"({"foo":1,"instanceId":"abc","leaseDuration":1,"bar":null})", {undefined("foo"), undefined("bar")}},
      {R"({"from":"now","fencingToken":1})", {undefined("from"), undefined("fencingToken"), kNoInstance, kNoDuration}},
      {R"({"foo":1})", {undefined("foo"), kNoInstance, kNoDuration}},
      {R"({"instanceId":"a!","leaseDuration":0,"foo":{}})",
       {kInstanceTooShort, kInstancePattern, kDurationTooSmall, undefined("foo")}},
      {R"({"leaseDuration":0,"instanceId":"!"})", {kInstanceTooShort, kInstancePattern, kDurationTooSmall}},
      {R"({"foo":1,"leaseDuration":"1","bar":2})",
       {"$.leaseDuration: string found, integer expected", undefined("foo"), undefined("bar"), kNoInstance}},
      {R"({"wait":-1,"instanceId":5,"foo":{}})",
       {"$.instanceId: integer found, string expected", "$.wait: must have a minimum value of 0", undefined("foo"),
        kNoDuration}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kAcquireBody), ElementsAreArray(given.errors));
  }
}

TEST(LockBody, FaultsOfTheLeaseDurationAreListedInSchemaOrder) {
  const BodyCase cases[] = {{acquire_body(R"("abc")", R"("30")"), {"$.leaseDuration: string found, integer expected"}},
                            {acquire_body(R"("abc")", "null"), {"$.leaseDuration: null found, integer expected"}},
                            {acquire_body(R"("abc")", "true"), {"$.leaseDuration: boolean found, integer expected"}},
                            {acquire_body(R"("abc")", "[1]"), {"$.leaseDuration: array found, integer expected"}},
                            {acquire_body(R"("abc")", "{}"), {"$.leaseDuration: object found, integer expected"}},
                            {acquire_body(R"("abc")", "30.5"), {"$.leaseDuration: number found, integer expected"}},
                            {acquire_body(R"("abc")", "1e-1"), {"$.leaseDuration: number found, integer expected"}},
                            {acquire_body(R"("abc")", "1e400"), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", "8.6401e4"), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", "-0.0"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "-1e400"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "0"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "-0"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "-1"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "-99999999999999999999"), {kDurationTooSmall}},
                            {acquire_body(R"("abc")", "86401"), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", "9223372036854775808"), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", "99999999999999999999999"), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", std::string(1000, '9')), {kDurationTooLarge}},
                            {acquire_body(R"("abc")", "1"), {}},
                            {acquire_body(R"("abc")", "86400"), {}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kAcquireBody), ElementsAreArray(given.errors));
  }
}

TEST(LockBody, FaultsOfTheInstanceIdAreListedInSchemaOrder) {
  const BodyCase cases[] = {
      {acquire_body("5"), {"$.instanceId: integer found, string expected"}},
      {acquire_body("null"), {"$.instanceId: null found, string expected"}},
      {acquire_body(R"({"a":"b"})"), {"$.instanceId: object found, string expected"}},
      {acquire_body(R"("")"), {kInstanceTooShort, kInstancePattern}},
      {acquire_body(R"("ab")"), {kInstanceTooShort}},
      {acquire_body('"' + std::string(65, 'a') + '"'), {kInstanceTooLong}},
      {acquire_body('"' + std::string(64, 'a') + '"'), {}},
      {acquire_body(R"("abc")"), {}},
      {acquire_body(R"("aZ09_-")"), {}},
      {acquire_body(R"("a b c")"), {kInstancePattern}},
      {acquire_body(R"("abc\n")"), {kInstancePattern}},
      {acquire_body(R"("abc\u0000")"), {kInstancePattern}},
      {acquire_body(R"("a.b.c")"), {kInstancePattern}},
      {acquire_body(R"("éé")"), {kInstanceTooShort, kInstancePattern}},
      {acquire_body(R"("ééé")"), {kInstancePattern}},
      {acquire_body('"' + std::string(64, '!') + "é\""), {kInstanceTooLong, kInstancePattern}},
      {acquire_body("7", "\"7\""),
       {"$.instanceId: integer found, string expected", "$.leaseDuration: string found, integer expected"}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kAcquireBody), ElementsAreArray(given.errors));
  }
}

std::string renew_body(const std::string& more) {
  return R"({"instanceId":"abc","leaseDuration":1,)" + more + "}";
}

TEST(LockBody, KeepPlaceIsAtMostTenWholeSeconds) {
  auto kept = [](const std::string& more) {
    auto body = parse_lock_body(R"({"instanceId":"abc","leaseDuration":1,"wait":5)" + more + "}", kAcquireBody);
    return std::get<LockBody>(body).keep_place;
  };
  EXPECT_EQ(kept(""), std::chrono::seconds(0));
  EXPECT_EQ(kept(R"(,"keepPlace":0)"), std::chrono::seconds(0));
  EXPECT_EQ(kept(R"(,"keepPlace":10)"), std::chrono::seconds(10));
  const BodyCase cases[] = {{renew_body(R"("keepPlace":11)"), {"$.keepPlace: must have a maximum value of 10"}},
                            {renew_body(R"("keepPlace":-1)"), {"$.keepPlace: must have a minimum value of 0"}},
                            {renew_body(R"("keepPlace":1.5)"), {"$.keepPlace: number found, integer expected"}},
                            {renew_body(R"("keepPlace":"5")"), {"$.keepPlace: string found, integer expected"}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kAcquireBody), ElementsAreArray(given.errors));
  }
}

TEST(LockBody, FaultsOfRenewAreListedInSchemaOrder) {
  const BodyCase cases[] = {
      {"{}", {kNoInstance, kNoDuration}},
      {renew_body(R"("wait":1)"), {undefined("wait")}},
      {renew_body(R"("keepPlace":1)"), {undefined("keepPlace")}},
      {renew_body(R"("from":"expiry")"), {"$.from: does not have a value in the enumeration [now]"}},
      {renew_body(R"("from":"NOW")"), {"$.from: does not have a value in the enumeration [now]"}},
      {renew_body(R"("from":1)"), {"$.from: integer found, string expected"}},
      {renew_body(R"("fencingToken":"1")"), {"$.fencingToken: string found, integer expected"}},
      {renew_body(R"("fencingToken":1.5)"), {"$.fencingToken: number found, integer expected"}},
      {renew_body(R"("fencingToken":0)"), {"$.fencingToken: must have a minimum value of 1"}},
      {renew_body(R"("fencingToken":-5)"), {"$.fencingToken: must have a minimum value of 1"}},
      {renew_body(R"("fencingToken":99999999999999999999)"), {}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kRenewBody), ElementsAreArray(given.errors));
  }
}

TEST(LockBody, FaultsOfReleaseAreListedInSchemaOrder) {
  const BodyCase cases[] = {{"{}", {kNoInstance}},
                            {R"({"instanceId":"abc","leaseDuration":1})", {undefined("leaseDuration")}},
                            {R"({"instanceId":"abc","from":"now"})", {undefined("from")}},
                            {R"({"instanceId":"a","fencingToken":0})",
                             {kInstanceTooShort, "$.fencingToken: must have a minimum value of 1"}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(given.body, kReleaseBody), ElementsAreArray(given.errors));
  }
}

constexpr char kNotUnique[] = "$.names: must have only unique items in the array";

TEST(LockBody, FaultsOfASetsNamesSayWhichNameIsWrong) {
  const BodyCase cases[] = {
      {R"(["abc"])", {}},
      {R"(["abc","def","abC"])", {}},
      {R"(["abc","abc"])", {kNotUnique}},
      {R"(["abc","abc","def"])", {kNotUnique}},
      {R"(["abc","def","ghi","abc"])", {kNotUnique}},
      {R"(["abc","def","ghi","def"])", {kNotUnique}},
      {R"(["a!c","abc","a!c"])",
       {"$.names[0]: does not match the regex pattern ^[a-zA-Z0-9_-]+$",
        "$.names[2]: does not match the regex pattern ^[a-zA-Z0-9_-]+$", kNotUnique}},
      {R"(["abc","def","no"])", {"$.names[2]: must be at least 3 characters long"}},
      {R"(["abc","","def"])",
       {"$.names[1]: must be at least 3 characters long",
        "$.names[1]: does not match the regex pattern ^[a-zA-Z0-9_-]+$"}},
      {R"(["abc",")" + std::string(65, 'l') + R"("])", {"$.names[1]: must be at most 64 characters long"}},
      {R"(["abc","def",null])", {"$.names[2]: null found, string expected"}},
      {"[7,7]",
       {"$.names[0]: integer found, string expected", "$.names[1]: integer found, string expected", kNotUnique}}};
  for (const BodyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_THAT(errors_of(R"({"names":)" + given.body + R"(,"instanceId":"abc"})", kReleaseSetBody),
                ElementsAreArray(given.errors));
  }
}

TEST(LockBody, EachKindHasItsOwnMembers) {
  const std::string all = R"({"names":["one"],"instanceId":"abc","leaseDuration":1,"from":"now","wait":1})";
  EXPECT_THAT(errors_of(all, kRenewBody), ElementsAre(undefined("names"), undefined("wait")));
  EXPECT_THAT(errors_of(all, kAcquireSetBody), ElementsAre(undefined("from")));
}

// The answer must not outgrow the request by much, whatever is in it.
TEST(LockBody, UnknownPropertiesAreNamedOnceAndAtMostTwenty) {
  const std::string known = R"({"instanceId":"abc","leaseDuration":1)";
  EXPECT_THAT(errors_of(known + R"(,"x":1,"y":2,"x":3})", kAcquireBody), ElementsAre(undefined("x"), undefined("y")));
  std::string many = known;
  for (int i = 0; i < 1'000; ++i) many += ",\"p" + std::to_string(i) + "\":0";
  EXPECT_EQ(errors_of(many + "}", kAcquireBody).size(), 20u);
  const std::string faulty = R"({"leaseDuration":0,"x":1)" + many.substr(known.size()) + "}";
  EXPECT_EQ(errors_of(faulty, kAcquireBody).size(), 22u);
}

TEST(LockBody, NestingAndBytesOutsideUtf8AreNotJson) {
  std::string deep = R"({"instanceId":)" + std::string(5'000, '[');
  for (const std::string& body : {deep, acquire_body("\"\xFF\xFF\xFF\""), acquire_body(R"("\ud800bc")")}) {
    EXPECT_THAT(errors_of(body, kAcquireBody), ElementsAre(StartsWith("body is not JSON at byte ")));
  }
}

struct PathCase {
  std::string namespace_name;
  std::string name;
  ValidationErrors errors;
};

constexpr char kSpaceLength[] =
    "Parameter 'namespace' failed validation: Namespace must be between 3 and 64 characters long";
constexpr char kSpaceLetters[] =
    "Parameter 'namespace' failed validation: Namespace must be alphanumeric with dashes and underscores only";
constexpr char kNameLength[] =
    "Parameter 'lockName' failed validation: Lock name must be between 3 and 64 characters long";
constexpr char kNameLetters[] =
    "Parameter 'lockName' failed validation: Lock name must be alphanumeric with dashes and underscores only";

TEST(LockPath, IsChecked) {
  const PathCase cases[] = {{"abc", "aZ_-09", {}},
                            {std::string(64, 'n'), std::string(64, 'l'), {}},
                            {"abc", "ab", {kNameLength}},
                            {"abc", std::string(65, 'l'), {kNameLength}},
                            {"ab", "abc", {kSpaceLength}},
                            {std::string(65, 'n'), "abc", {kSpaceLength}},
                            {"abc", "a:b", {kNameLetters}},
                            {"a.b", "abc", {kSpaceLetters}},
                            {"a ", "a!", {kSpaceLength, kSpaceLetters, kNameLength, kNameLetters}},
                            {"abc", "éé", {kNameLength, kNameLetters}},
                            {"abc", "ééé", {kNameLetters}},
                            {"abc", "abc\n", {kNameLetters}},
                            {"abc", "a\0bc"s, {kNameLetters}},
                            {"abc", "...", {kNameLetters}}};
  for (const PathCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.namespace_name + "/" + given.name));
    EXPECT_THAT(check_lock_path(given.namespace_name, given.name), ElementsAreArray(given.errors));
  }
}

TEST(LockPath, NamesAreOfLettersDigitsDashesAndUnderscores) {
  constexpr std::string_view kOfNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  for (int byte = 0; byte < 256; ++byte) {
    std::string name = "ab" + std::string(1, static_cast<char>(byte));
    bool expected = kOfNames.find(name.back()) != std::string_view::npos;
    EXPECT_EQ(is_name(name), expected) << byte;
    EXPECT_EQ(check_lock_path("abc", name).empty(), expected) << byte;
    EXPECT_EQ(check_namespace(name).empty(), expected) << byte;
  }
}

TEST(LockAnswers, MatchTheReplacedServiceWordForWord) {
  EXPECT_EQ(validation_json("Validation failed", {kNameLength}),
            R"({"message":"Validation failed","details":["Parameter 'lockName' failed validation: )"
            R"(Lock name must be between 3 and 64 characters long"]})");
  EXPECT_EQ(validation_json("JSON validation failed", {"a\"b", "\xFF"}),
            "{\"message\":\"JSON validation failed\",\"details\":[\"a\\\"b\",\"\xEF\xBF\xBD\"]}");
  EXPECT_EQ(success_json(true, {"space", "name"}), R"({"success":true,"namespace":"space","lockName":"name"})");
  EXPECT_EQ(success_json(false, {"space", "name"}), R"({"success":false,"namespace":"space","lockName":"name"})");
}

LockRecord record() {
  return {.lock = {"space", "name"},
          .holder = {"anonymous", "instance-1"},
          .duration = 30s,
          .expiry = EpochSeconds(1'700'000'030s),
          .carried_token = std::nullopt,
          .unknown_members = {}};
}

TEST(LockAnswers, AGrantTellsTheHolderEverything) {
  LockGrant grant{.record = record(), .token = FencingToken{9007199254740991}, .ttl = 29s, .revision = {}};
  EXPECT_EQ(to_strict_json(grant),
            R"({"success":true,"namespace":"space","lockName":"name","owner":"anonymous","instanceId":"instance-1",)"
            R"("leaseDuration":30,"expiry":1700000030})");
  EXPECT_EQ(to_json(grant),
            R"({"success":true,"namespace":"space","lockName":"name","owner":"anonymous","instanceId":"instance-1",)"
            R"("leaseDuration":30,"expiry":1700000030,"fencingToken":9007199254740991,"ttl":29})");
}

TEST(LockAnswers, OthersAreNotToldTheInstance) {
  HeldLock held{.record = record(), .token = FencingToken{7}, .revision = {}};
  LockName name{"space", "name"};
  EXPECT_EQ(to_json(name, held, 3),
            R"({"namespace":"space","lockName":"name","owner":"anonymous","expiry":1700000030,"fencingToken":7,)"
            R"("waiters":3})");
  EXPECT_EQ(to_strict_json(name, held),
            R"({"namespace":"space","lockName":"name","owner":"anonymous","expiry":1700000030})");
  EXPECT_EQ(to_json(name, std::nullopt, 0), R"({"namespace":"space","lockName":"name"})");
  EXPECT_EQ(to_strict_json(name, std::nullopt), R"({"namespace":"space","lockName":"name"})");
}

TEST(LockAnswers, ALockWithoutAnOwnerIsShownHeldWithoutAnOwner) {
  HeldLock held{.record = record(), .token = FencingToken{7}, .revision = {}};
  held.record.holder = Holder{.owner = "", .instance = "instance-1", .ownerless = true};
  LockName name{"space", "name"};
  EXPECT_EQ(to_strict_json(name, held), R"({"namespace":"space","lockName":"name","expiry":1700000030})");
  EXPECT_EQ(to_json(name, held, 0),
            R"({"namespace":"space","lockName":"name","expiry":1700000030,"fencingToken":7,"waiters":0})");
  Refused refused{.holder = Refused::Obstacle{std::nullopt, EpochSeconds(1'700'000'030s)}};
  EXPECT_EQ(to_json(name, refused), R"({"success":false,"namespace":"space","lockName":"name","expiry":1700000030})");
}

TEST(LockAnswers, ARefusalNamesTheHolderInTheWay) {
  LockName name{"space", "name"};
  Refused refused;
  EXPECT_EQ(to_json(name, refused), R"({"success":false,"namespace":"space","lockName":"name"})");
  refused.holder = Refused::Obstacle{"anonymous", EpochSeconds(1'700'000'030s)};
  EXPECT_EQ(to_json(name, refused), R"({"success":false,"namespace":"space","lockName":"name","owner":"anonymous",)"
                                    R"("expiry":1700000030})");
  refused.ahead = 2;
  EXPECT_EQ(to_json(name, refused), R"({"success":false,"namespace":"space","lockName":"name","owner":"anonymous",)"
                                    R"("expiry":1700000030,"ahead":2})");
}

}  // namespace
}  // namespace sharedlock
