// etcd behind a network that is cut, in namespaces.
#include "support/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/etcd_server.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

TEST(EtcdHarnessNetwork, CablesAreCutOneByOne) {
  enter_own_network();
  EtcdLan lan(3);
  EtcdServer etcd({.members = 3, .places = lan.places()});
  std::size_t leader = etcd.leader();
  etcd.etcdctl({"put", "key", "value"});
  lan.cut_from_us(leader);
  EXPECT_FALSE(etcd.answers(leader));
  EXPECT_TRUE(etcd.answers((leader + 1) % 3));
  lan.join_to_us(leader);
  EXPECT_TRUE(eventually([&] { return etcd.answers(leader); })) << "once the kernel has found its way again";
  lan.cut_from_members(leader);
  EXPECT_FALSE(etcd.answers(leader)) << "it has no quorum";
}

}  // namespace
}  // namespace sharedlock::test
