#include "store/etcd/rpc/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EtcdEndpoint parsed(std::string_view text, bool always_tls = false) {
  return parse_etcd_endpoint(text, always_tls).value();
}

TEST(EtcdEndpoint, EveryNotationIsRead) {
  EXPECT_EQ(parsed("http://localhost:2379"), (EtcdEndpoint{"http://localhost:2379", "dns:///localhost:2379", false}));
  EXPECT_EQ(parsed("http://10.0.0.1:2379/"), (EtcdEndpoint{"http://10.0.0.1:2379/", "dns:///10.0.0.1:2379", false}));
  EXPECT_EQ(parsed("etcd-1:1"), (EtcdEndpoint{"etcd-1:1", "dns:///etcd-1:1", false}));
  EXPECT_EQ(parsed("[::1]:2379"), (EtcdEndpoint{"[::1]:2379", "dns:///[::1]:2379", false}));
  EXPECT_EQ(parsed("https://[::1]:2379"), (EtcdEndpoint{"https://[::1]:2379", "dns:///[::1]:2379", true}));
}

TEST(EtcdEndpoint, WithTlsSetNoEndpointGoesWithoutIt) {
  EXPECT_TRUE(parsed("http://a:1", true).tls);
  EXPECT_TRUE(parsed("a:1", true).tls);
}

TEST(EtcdEndpoint, TextThatIsNotAnEndpointIsRefused) {
  for (auto text : {"", "etcd-1", "http://etcd-1", "http://:2379", "a:", "a:port", "a:123456", "::1:2379", "ftp://a:1",
                    "http://a:1/v3", "http://user@a:1", "[]:1"}) {
    auto endpoint = parse_etcd_endpoint(text, false);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code, Errc::invalid_argument) << text;
  }
}

class EndpointChoice : public ::testing::Test {
 protected:
  static constexpr seconds kAvoided = EtcdEndpointChoice::kAvoided;

  EtcdEndpointChoice choice{3};
  BootTime now{seconds(1000)};
};

TEST_F(EndpointChoice, AWorkingEndpointIsKept) {
  choice.failed(0, now);
  EXPECT_EQ(choice.pick(now), 1u);
  choice.worked(1);
  now += 2 * kAvoided;
  EXPECT_EQ(choice.pick(now), 1u) << "also when the first could be tried again";
}

TEST_F(EndpointChoice, AFailedEndpointIsAvoidedForAWhile) {
  choice.failed(0, now);
  choice.failed(1, now);
  EXPECT_EQ(choice.pick(now), 2u);
  choice.failed(2, now + seconds(1));
  EXPECT_EQ(choice.pick(now + kAvoided), 0u);
}

TEST_F(EndpointChoice, WhenAllFailedTheOneThatFailedFirstIsTried) {
  choice.failed(0, now + seconds(2));
  choice.failed(1, now);
  choice.failed(2, now + seconds(1));
  EXPECT_TRUE(choice.all_failed(now + seconds(2)));
  EXPECT_EQ(choice.pick(now + seconds(2)), 1u);
}

TEST_F(EndpointChoice, AnEndpointThatIsSilentForLongEnoughHasFailed) {
  EXPECT_FALSE(choice.silent(0, now, now + milliseconds(299), milliseconds(300)));
  EXPECT_EQ(choice.pick(now), 0u);
  EXPECT_TRUE(choice.silent(1, now, now + milliseconds(300), milliseconds(300)));
}

TEST_F(EndpointChoice, ShortSilencesAddUp) {
  EXPECT_FALSE(choice.silent(0, now, now + milliseconds(100), milliseconds(300)));
  now += milliseconds(200);
  EXPECT_TRUE(choice.silent(0, now, now + milliseconds(100), milliseconds(300)));
  EXPECT_EQ(choice.pick(now), 1u);
}

TEST_F(EndpointChoice, AnAnswerEndsASilence) {
  EXPECT_FALSE(choice.silent(0, now, now + milliseconds(200), milliseconds(300)));
  choice.worked(0);
  now += milliseconds(200);
  EXPECT_FALSE(choice.silent(0, now, now + milliseconds(200), milliseconds(300)));
}

TEST(EtcdAttempt, EachAttemptHasTwiceTheTimeOfTheOneBefore) {
  EXPECT_EQ(attempt_span(seconds(1), seconds(10), 0, false), seconds(1));
  EXPECT_EQ(attempt_span(seconds(1), seconds(9), 1, false), seconds(2));
  EXPECT_EQ(attempt_span(seconds(1), seconds(7), 2, false), seconds(4));
}

TEST(EtcdAttempt, TheLastAttemptHasAllThatIsLeftAndNoneHasMore) {
  EXPECT_EQ(attempt_span(seconds(1), seconds(53), 3, true), seconds(53));
  EXPECT_EQ(attempt_span(seconds(1), seconds(2), 2, false), seconds(2));
  EXPECT_EQ(attempt_span(seconds(1), seconds(2), 1000, false), seconds(2));
}

TEST(EtcdPace, TheFirstAttemptHasASecondOrAThirdOfAShortCall) {
  EXPECT_EQ(EtcdPace().first_attempt(seconds(10)), seconds(1));
  EXPECT_EQ(EtcdPace().first_attempt(milliseconds(900)), milliseconds(300));
}

TEST(EtcdPace, ASlowAnswerLengthensTheFirstAttemptAtOnce) {
  EtcdPace pace;
  pace.answered(milliseconds(1500));
  EXPECT_EQ(pace.first_attempt(seconds(10)), seconds(3));
  EXPECT_EQ(pace.first_attempt(seconds(4)), seconds(2)) << "half, so that another member can be tried";
  pace.answered(milliseconds(1));
  EXPECT_GT(pace.first_attempt(seconds(10)), milliseconds(2900)) << "one fast answer says little";
  for (int i = 0; i < 200; ++i) pace.answered(milliseconds(1));
  EXPECT_EQ(pace.first_attempt(seconds(10)), seconds(1));
}

TEST_F(EndpointChoice, AnEndpointThatWorksAgainIsNotAvoided) {
  for (std::size_t index : {0u, 1u, 2u}) choice.failed(index, now);
  choice.worked(2);
  EXPECT_FALSE(choice.all_failed(now));
  EXPECT_EQ(choice.pick(now), 2u);
}

}  // namespace
}  // namespace sharedlock
