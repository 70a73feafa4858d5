#include "store/etcd/rpc/error_class.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/etcd/rpc/version.h"

namespace sharedlock {
namespace {

using Next = EtcdErrorClass::Next;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Codes and words as etcd 3.4.23 and gRPC 1.51 send them.
TEST(EtcdErrorClass, LeaseErrorsAreRecognized) {
  EXPECT_EQ(classify_etcd_error(5, "etcdserver: requested lease not found"),
            (EtcdErrorClass{Errc::lease_not_found, true, Next::give_up}));
  EXPECT_EQ(classify_etcd_error(9, "etcdserver: lease already exists"),
            (EtcdErrorClass{Errc::lease_in_use, true, Next::give_up}));
}

TEST(EtcdErrorClass, ARequestThatWasNeverSentDidNotHappen) {
  for (auto message : {"failed to connect to all addresses; last error: UNKNOWN: Connection refused",
                       "connections to all backends failing", "DNS resolution failed for etcd-1:2379"}) {
    EXPECT_EQ(classify_etcd_error(14, message), (EtcdErrorClass{Errc::unavailable, true, Next::try_again})) << message;
  }
}

TEST(EtcdErrorClass, WithoutAnAnswerTheOutcomeIsUnknown) {
  for (auto [code, message] :
       {std::pair(14, "Socket closed"), std::pair(4, "Deadline Exceeded"),
        std::pair(14, "etcdserver: request timed out"), std::pair(14, "etcdserver: leader changed"),
        std::pair(2, "context canceled"), std::pair(1, "CANCELLED"), std::pair(13, "reset")}) {
    EXPECT_EQ(classify_etcd_error(code, message), (EtcdErrorClass{Errc::unavailable, false, Next::try_again}))
        << message;
  }
}

TEST(EtcdErrorClass, SafetyR18_NoSpaceLeavesOpenWhetherItHappened) {
  EXPECT_EQ(classify_etcd_error(8, "etcdserver: mvcc: database space exceeded"),
            (EtcdErrorClass{Errc::unavailable, false, Next::give_up}));
  EXPECT_EQ(classify_etcd_error(8, "etcdserver: too many requests"),
            (EtcdErrorClass{Errc::unavailable, true, Next::try_again}));
}

TEST(EtcdErrorClass, AnOutdatedTokenIsRenewed) {
  EXPECT_EQ(classify_etcd_error(16, "etcdserver: invalid auth token").next, Next::renew_token);
  EXPECT_EQ(classify_etcd_error(3, "etcdserver: revision of auth store is old").next, Next::renew_token);
}

TEST(EtcdErrorClass, ATokenIsFetchedWhenEtcdBeginsToAskForOne) {
  EXPECT_EQ(classify_etcd_error(3, "etcdserver: user name is empty"),
            (EtcdErrorClass{Errc::unavailable, true, Next::renew_token}));
}

TEST(EtcdErrorClass, MissingPermissionIsReportedAtOnce) {
  for (auto [code, message] : {std::pair(7, "etcdserver: permission denied"),
                               std::pair(3, "etcdserver: authentication failed, invalid user ID or password")}) {
    EXPECT_EQ(classify_etcd_error(code, message), (EtcdErrorClass{Errc::unavailable, true, Next::give_up})) << message;
  }
}

TEST(EtcdErrorClass, ARequestThatEtcdFindsInvalidIsRefused) {
  for (auto [code, message] :
       {std::pair(3, "etcdserver: request is too large"), std::pair(11, "etcdserver: too large lease TTL"),
        std::pair(11, "etcdserver: mvcc: required revision has been compacted")}) {
    EXPECT_EQ(classify_etcd_error(code, message), (EtcdErrorClass{Errc::invalid_argument, true, Next::give_up}))
        << message;
  }
}

// A message must not contradict itself by saying that etcd does not answer, and then what it answered.
TEST(EtcdTrouble, OnlyASilentEtcdIsSaidNotToAnswer) {
  EXPECT_EQ(etcd_trouble("http://e:1", 14, "failed to connect to all addresses"),
            "etcd does not answer at http://e:1: failed to connect to all addresses");
  EXPECT_EQ(etcd_trouble("http://e:1", 4, "Deadline Exceeded"),
            "etcd does not answer at http://e:1: no answer in time");
  for (auto [code, words] : {std::pair(14, "etcdserver: no leader"), std::pair(14, "etcdserver: leader changed"),
                             std::pair(2, "etcdserver: server stopped")}) {
    EXPECT_EQ(etcd_trouble("http://e:1", code, words), "etcd at http://e:1 says: " + std::string(words));
  }
  EXPECT_EQ(etcd_trouble("http://e:1", kUnusableAnswer, "it is older than what was known"),
            "the answer of etcd at http://e:1 can't be used: it is older than what was known");
}

TEST(EtcdVersion, GoodVersionsAreNotWarnedOf) {
  for (auto version : {"3.4.44", "3.4.100", "3.5.33", "3.6.14", "3.7.0", "4.0.0", "", "unknown"}) {
    EXPECT_THAT(faults_of_etcd(version), IsEmpty()) << version;
  }
}

TEST(EtcdVersion, FaultsAreNamed) {
  EXPECT_THAT(faults_of_etcd("3.4.23"), HasSubstr("a watch may lose events"));
  EXPECT_THAT(faults_of_etcd("3.4.43"), HasSubstr("quota"));
  EXPECT_THAT(faults_of_etcd("3.4.43"), Not(HasSubstr("a watch may")));
  EXPECT_THAT(faults_of_etcd("3.5.27"), HasSubstr("CVE-2026-33343"));
  EXPECT_THAT(faults_of_etcd("3.6.4"), HasSubstr("a lease that has just ended"));
  EXPECT_THAT(faults_of_etcd("3.3.27"), HasSubstr("older than 3.4"));
}

}  // namespace
}  // namespace sharedlock
