#include "store/etcd/rpc/clusters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using News = EtcdClusters::News;

class EtcdClustersTest : public ::testing::Test {
 protected:
  EtcdClusters clusters{{"http://a:1", "http://b:2", "http://c:3"}};
};

TEST_F(EtcdClustersTest, SafetyR20_OneForeignEndpointStopsAllEndpoints) {
  EXPECT_EQ(clusters.answered(1, 0xaa), News::none);
  EXPECT_EQ(clusters.answered(0, 0xaa), News::none);
  EXPECT_THAT(clusters.conflict(), IsEmpty());
  EXPECT_EQ(clusters.answered(2, 0xbb), News::foreign);
  EXPECT_THAT(clusters.conflict(), AllOf(HasSubstr("two clusters: aa,"), HasSubstr("bb at http://c:3")));
}

TEST_F(EtcdClustersTest, AForeignEndpointIsNewsOnce) {
  clusters.answered(0, 0xaa);
  EXPECT_EQ(clusters.answered(1, 0xbb), News::foreign);
  EXPECT_EQ(clusters.answered(1, 0xbb), News::none);
  EXPECT_EQ(clusters.answered(1, 0xcc), News::foreign) << "another one";
}

TEST_F(EtcdClustersTest, EndpointsMayBeUsedWhenAllAreOfTheFirstClusterAgain) {
  clusters.answered(0, 0xaa);
  clusters.answered(1, 0xbb);
  clusters.missed(1, true);
  EXPECT_THAT(clusters.conflict(), HasSubstr("bb")) << "one that is away is what it was";
  EXPECT_EQ(clusters.answered(1, 0xaa), News::returned);
  EXPECT_THAT(clusters.conflict(), IsEmpty());
}

TEST_F(EtcdClustersTest, SafetyR20_AllEndpointsMovingToAnotherClusterIsAConflictToo) {
  for (std::size_t i : {0u, 1u, 2u}) clusters.answered(i, 0xaa);
  for (std::size_t i : {0u, 1u, 2u}) clusters.answered(i, 0xbb);
  EXPECT_THAT(clusters.conflict(), AllOf(HasSubstr("aa"), HasSubstr("bb at http://a:1")));
}

TEST_F(EtcdClustersTest, SafetyR32_AClusterThatReplacedAllMayBeFollowed) {
  for (std::size_t i : {0u, 1u, 2u}) clusters.answered(i, 0xaa);
  EXPECT_FALSE(clusters.elsewhere());
  for (std::size_t i : {0u, 1u}) clusters.answered(i, 0xbb);
  EXPECT_FALSE(clusters.elsewhere()) << "two of three";
  clusters.answered(2, 0xcc);
  EXPECT_FALSE(clusters.elsewhere()) << "another one";
  clusters.answered(2, 0xbb);
  ASSERT_TRUE(clusters.elsewhere());
  clusters.follow(*clusters.elsewhere());
  EXPECT_FALSE(clusters.elsewhere());
  EXPECT_THAT(clusters.conflict(), IsEmpty());
  EXPECT_EQ(clusters.answered(1, 0xaa), News::foreign);
}

// A cluster that is restored often has one member at first.
TEST_F(EtcdClustersTest, SafetyR32_AClusterOfFewerMembersMayBeFollowedWhenAllOthersAreAway) {
  for (std::size_t i : {0u, 1u, 2u}) clusters.answered(i, 0xaa);
  clusters.missed(0, true);
  clusters.missed(2, true);
  EXPECT_FALSE(clusters.elsewhere()) << "the one that answers is of ours";
  clusters.answered(1, 0xbb);
  ASSERT_EQ(clusters.elsewhere(), 1u);
  clusters.answered(0, 0xaa);
  EXPECT_FALSE(clusters.elsewhere()) << "ours lives";
  clusters.missed(0, false);
  EXPECT_FALSE(clusters.elsewhere()) << "and says something";
  clusters.missed(0, true);
  ASSERT_EQ(clusters.elsewhere(), 1u);
  clusters.follow(1);
  EXPECT_THAT(clusters.conflict(), IsEmpty());
  EXPECT_FALSE(clusters.elsewhere());
  EXPECT_EQ(clusters.answered(2, 0xbb), News::none);
  EXPECT_EQ(clusters.answered(0, 0xaa), News::foreign) << "the one before, which is back";
  EXPECT_THAT(clusters.conflict(), HasSubstr("aa at http://a:1"));
}

TEST_F(EtcdClustersTest, WhenAllEndpointsAreAwayNoClusterIsFollowed) {
  for (std::size_t i : {0u, 1u, 2u}) clusters.answered(i, 0xaa);
  clusters.answered(0, 0xbb);
  for (std::size_t i : {0u, 1u, 2u}) clusters.missed(i, true);
  EXPECT_FALSE(clusters.elsewhere());
}

TEST_F(EtcdClustersTest, EveryEndpointIsAskedBeforeAnyIsUsed) {
  clusters.answered(0, 0xaa);
  clusters.missed(1, true);
  EXPECT_FALSE(clusters.all_asked());
  EXPECT_FALSE(clusters.asked(2));
  clusters.answered(2, 0xaa);
  EXPECT_TRUE(clusters.all_asked());
}

}  // namespace
}  // namespace sharedlock
