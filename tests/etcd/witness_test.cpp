// The witness of a server (R32): what is compared with it, and what it tells the other servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"

namespace sharedlock::test {
namespace {

using testing::StartsWith;

constexpr auto kWitnesses = "/shared-lock.meta/witness/";
constexpr auto kMark = "/shared-lock.meta/lost";

// That of the one server there is.
StoredKey only_witness(EtcdServer& etcd) {
  std::string keys = etcd.etcdctl({"get", "--prefix", "--keys-only", kWitnesses});
  return stored(etcd, keys.substr(0, keys.find('\n')));
}

// The server checks the other servers' witnesses, and new connections, from time to time. This test is about the calls
// themselves, so they are made in the moment after the fault.
class EtcdWitnessed : public testing::Test {
 protected:
  using Call = int (*)(ServiceOnEtcd&);

  // Whether the call is refused after the fault, by a server on which the lock "held" is held.
  int after(const std::vector<std::string>& fault, Call call) {
    ServiceOnEtcd service(etcd);
    EXPECT_TRUE(service.becomes_ready()) << service.server().err();
    EXPECT_EQ(service.acquire("held", "instance-1").status, 200);
    etcd.etcdctl(fault);
    int status = call(service);
    EXPECT_EQ(service.server().stop(), 0);
    etcd.etcdctl({"del", kMark});
    etcd.etcdctl({"del", "--prefix", "locks/"});
    return status;
  }

  EtcdServer etcd;
  const std::vector<std::string> erased{"del", "--prefix", kWitnesses};
  const std::vector<std::string> marked{"put", kMark, "a test says so"};
};

int acquires(ServiceOnEtcd& service) {
  return service.acquire("other", "instance-1").status;
}
int releases(ServiceOnEtcd& service) {
  return service.release("held", "instance-1").status;
}
int looks(ServiceOnEtcd& service) {
  return service.look("held").status;
}
int grants(ServiceOnEtcd& service) {
  return service.grant("other").status;
}

TEST_F(EtcdWitnessed, SafetyR32_ChangesAndReadsAreComparedWithIt) {
  EXPECT_EQ(after(erased, acquires), 503);
  EXPECT_EQ(after(erased, releases), 503);
  EXPECT_EQ(after(erased, looks), 503);
  EXPECT_EQ(after(erased, grants), 500);
}

TEST_F(EtcdWitnessed, SafetyR32_ChangesAndReadsAreComparedWithTheMark) {
  EXPECT_EQ(after(marked, acquires), 503);
  EXPECT_EQ(after(marked, looks), 503);
}

TEST(EtcdWitness, SafetyR32_ChangesWithoutSpaceAreComparedToo) {
  EtcdServer etcd({.quota_bytes = std::uint64_t{512} * 1024});
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  ASSERT_EQ(service.acquire("held", "instance-1").status, 200);
  const std::string filler(static_cast<std::size_t>(32) * 1024, 'x');
  ASSERT_TRUE(eventually([&] { return etcd.try_etcdctl({"put", "filler", filler}).exit_code != 0; }));
  ASSERT_EQ(service.acquire("full", "instance-1").status, 503);
  ASSERT_TRUE(service.server().says("database space exceeded"));
  etcd.etcdctl({"del", "--prefix", kWitnesses});
  EXPECT_EQ(service.release("held", "instance-1").status, 503);
  EXPECT_TRUE(stored(etcd, "locks/space:held").found);
}

// A put that goes alone, when there is space again, is told of in the same moment.
TEST(EtcdWitness, SafetyR32_PutsOutsideABatchAreToldOfToo) {
  EtcdServer etcd({.quota_bytes = std::uint64_t{512} * 1024});
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  const std::string filler(static_cast<std::size_t>(32) * 1024, 'x');
  ASSERT_TRUE(eventually([&] { return etcd.try_etcdctl({"put", "filler", filler}).exit_code != 0; }));
  ASSERT_EQ(service.acquire("full", "instance-1").status, 503);
  etcd.etcdctl({"compact", "--physical", std::to_string(stored(etcd, "filler").mod_revision)});
  etcd.etcdctl({"defrag"});
  etcd.etcdctl({"alarm", "disarm"});
  ASSERT_EQ(service.acquire("held", "instance-1", 300).status, 200) << service.server().err();
  auto witness = only_witness(etcd);
  EXPECT_EQ(witness.mod_revision, stored(etcd, "locks/space:held").mod_revision);
  EXPECT_EQ(witness.value, "promised=300 prefix=locks/");
}

// The other servers know only from its witness for how long this server has promised.
TEST(EtcdWitness, SafetyR32_RenewalsOfLeasesAreToldOfToo) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  auto lease = service.grant("held", 2);
  ASSERT_EQ(lease.status, 201);
  EXPECT_THAT(only_witness(etcd).value, StartsWith("promised="));
  auto written = only_witness(etcd).mod_revision;
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(service.keep_alive(lease.body).status, 200);
    return only_witness(etcd).mod_revision > written;
  }));
}

}  // namespace
}  // namespace sharedlock::test
