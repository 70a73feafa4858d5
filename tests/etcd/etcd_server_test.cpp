// The harness itself: what the other tests on etcd rely on.
#include "support/etcd_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "support/etcd_tls_files.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

TEST(EtcdHarness, OneMemberKeepsItsDataOverAKill) {
  EtcdServer etcd;
  etcd.etcdctl({"put", "key", "value"});
  etcd.member(0).kill();
  EXPECT_FALSE(etcd.member(0).running());
  etcd.member(0).start();
  EXPECT_EQ(etcd.etcdctl({"get", "key", "--print-value-only"}), "value\n");
}

TEST(EtcdHarness, ItsProcessesEndWithIt) {
  pid_t pid = 0;
  {
    EtcdServer etcd;
    pid = etcd.member(0).pid();
    etcd.member(0).stop();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(EtcdHarness, TheSharedServerListsLeases) {
  EtcdServer& etcd = EtcdServer::shared();
  EXPECT_EQ(&EtcdServer::shared(), &etcd);
  EXPECT_THAT(etcd.leases(), IsEmpty());
  EXPECT_THAT(etcd.etcdctl({"lease", "grant", "60"}), StartsWith("lease "));
  ASSERT_THAT(etcd.leases(), SizeIs(1));
  etcd.etcdctl({"lease", "revoke", etcd.leases().at(0)});
  EXPECT_THAT(etcd.leases(), IsEmpty());
}

TEST(EtcdHarness, ThreeMembersChooseANewLeader) {
  EtcdServer etcd({.members = 3, .election_timeout = std::chrono::milliseconds(300)});
  etcd.etcdctl({"put", "key", "value"});
  std::size_t first = etcd.leader();
  etcd.member(first).kill();
  std::size_t second = etcd.leader();
  EXPECT_NE(second, first);
  etcd.member(first).start();
  etcd.member(second).stop();
  EXPECT_NE(etcd.leader(), second);
  EXPECT_EQ(etcd.etcdctl({"get", "key", "--print-value-only"}), "value\n");
  etcd.member(second).resume();
}

TEST(EtcdHarness, AFullQuotaIsRefused) {
  EtcdServer etcd({.quota_bytes = std::uint64_t{256} * 1024});
  const std::string value(static_cast<std::size_t>(64) * 1024, 'x');
  EXPECT_TRUE(eventually([&] { return etcd.try_etcdctl({"put", "key", value}).exit_code != 0; }));
  EXPECT_THAT(etcd.try_etcdctl({"put", "key", value}).err, HasSubstr("database space exceeded"));
}

TEST(EtcdHarness, WithTlsAClientNeedsACertificateOfTheSameAuthority) {
  EtcdTlsFiles files;
  EtcdServer etcd({.tls = files.server()});
  EXPECT_THAT(etcd.endpoints(), StartsWith("https://"));
  etcd.etcdctl({"put", "key", "value"});
  auto gets_in_with = [&](const PemPair& pair) {
    auto ended = etcd.try_etcdctl({"--cert", files.write("other.crt", pair.certificate), "--key",
                                   files.write("other.key", pair.key), "--command-timeout=1s", "get", "key"});
    return ended.exit_code == 0;
  };
  EXPECT_TRUE(gets_in_with(files.authority().issue({.name = "client"})));
  EXPECT_FALSE(gets_in_with(TestAuthority("another").issue({.name = "client"})));
  EXPECT_FALSE(gets_in_with(files.authority().issue({.name = "client", .ends_in = std::chrono::hours(-1)})));
}

TEST(EtcdHarness, AUserNeedsThePassword) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret");
  etcd.etcdctl({"put", "key", "value"});
  EXPECT_EQ(etcd.try_etcdctl({"--user", "lockservice:secret", "put", "any/key", "value"}).exit_code, 0);
  EXPECT_NE(etcd.try_etcdctl({"--user", "lockservice:wrong", "put", "any/key", "value"}).exit_code, 0);
}

}  // namespace
}  // namespace sharedlock::test
