// What a server does for the witness (R32) while nobody asks it for anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/manual_clock.h"
#include "store/etcd/etcd_store.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"
#include "support/eventually.h"
#include "support/run_task.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(EtcdIdle, SafetyR32_AServerPutsItsWitnessWhileAnythingIsPromised) {
  EtcdServer etcd;
  ManualClock clock;
  EtcdOptions options;
  options.endpoints = etcd.urls();
  auto store = make_etcd_store(std::move(options), clock, silent_log()).value();
  Transaction grant{.expect = {}, .none_under = {}, .changes = {Put{"locks/held", "", PooledLease{Ttl{300}}}}};
  ASSERT_TRUE(run_task(store->commit(std::move(grant), Deadline::never())));
  auto witnesses = [&] { return etcd.etcdctl({"get", "--prefix", "/shared-lock.meta/witness/"}); };
  EXPECT_THAT(witnesses(), HasSubstr("promised=300 "));
  // Twice, since it sees only a little later that the witness was put with the grant.
  bool put = false;
  for (int i = 0; i < 2 && !put; ++i) {
    clock.advance(seconds(61));
    put = eventually([&] { return witnesses().find("promised=300 ") == std::string::npos; }, seconds(2));
  }
  EXPECT_TRUE(put) << witnesses();
}

TEST(EtcdIdle, SafetyR32_WitnessesOfServersThatHaveEndedAreErased) {
  EtcdServer etcd;
  ManualClock clock;
  EtcdOptions options;
  options.endpoints = etcd.urls();
  auto begin = [&] { return make_etcd_store(EtcdOptions(options), clock, silent_log()).value(); };
  auto number_of = [&](const std::string& text) {
    std::string all = etcd.etcdctl({"get", "--prefix", "/shared-lock.meta/witness/"});
    int number = 0;
    for (auto at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++number;
    return number;
  };
  auto store = begin();
  for (int i = 0; i < 3; ++i) {
    auto another = begin();
    ASSERT_TRUE(eventually([&] { return number_of("promised=0 prefix") == 2; }));
  }
  ASSERT_EQ(number_of("promised=0 ended"), 3);
  bool erased = false;
  for (int i = 0; i < 5 && !erased; ++i) {
    clock.advance(seconds(61));
    erased = eventually([&] { return number_of("ended") == 0; }, seconds(2));
  }
  EXPECT_TRUE(erased);
  EXPECT_EQ(number_of("promised=0 prefix"), 1) << "its own";
  EXPECT_TRUE(run_task(store->get("locks/held", Deadline::never())));
}

}  // namespace
}  // namespace sharedlock::test
