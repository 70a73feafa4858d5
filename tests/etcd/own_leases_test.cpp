// Leases of the lease API on a real etcd: they share its leases, and are renewed by commits (R33).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/random.h"
#include "base/task_group.h"
#include "contract/store_client.h"
#include "store/etcd/etcd_store.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"
#include "support/pausable_clock.h"
#include "support/run_task.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

enum class Mode { shared, own };

void pass(milliseconds time) {
  std::this_thread::sleep_for(time);  // real time: nobody can move etcd's clock
}

std::unique_ptr<LeaseStore> store_at(std::vector<std::string> urls, Mode mode, Clock& clock) {
  EtcdOptions options;
  options.endpoints = std::move(urls);
  options.shared_leases = mode == Mode::shared;
  return make_etcd_store(std::move(options), clock, silent_log()).value();
}

class EtcdOwnLeasesOnEtcd : public testing::Test {
 protected:
  std::unique_ptr<LeaseStore> store(Mode mode) { return store_at(etcd.urls(), mode, clock); }

  Result<Outcome> grant(LeaseStore& on, const std::string& name, OwnLease own) {
    return StoreClient(on).commit(StoreClient::creation(prefix + name, "value", own));
  }
  LeaseId granted(LeaseStore& on, const std::string& name, Ttl ttl = Ttl{60}) {
    OwnLease own{.ttl = ttl, .id = std::nullopt};
    return std::get<Committed>(grant(on, name, own).value()).lease;
  }

  EtcdServer& etcd = EtcdServer::shared();
  SystemClock clock;
  const std::string prefix = "/own-leases/" + random_uuid() + "/";
};

// Servers are switched in this order, and back: each keeps, reports and ends what the other has granted.
TEST_F(EtcdOwnLeasesOnEtcd, SafetyR33_EachModeServesWhatTheOtherGranted) {
  for (auto [granting, serving] : {std::pair(Mode::own, Mode::shared), std::pair(Mode::shared, Mode::own)}) {
    auto old = store(granting);
    auto now = store(serving);
    StoreClient client(*now);
    const std::string name = granting == Mode::own ? "native" : "shared";
    LeaseId id = granted(*old, name);
    Revision created = client.get(prefix + name)->created;
    EXPECT_TRUE(client.keep_alive(id, prefix));
    EXPECT_THAT(client.keys_of(id), ElementsAre(prefix + name));
    EXPECT_EQ(client.lease(id)->only_entry.value().created, created);
    EXPECT_TRUE(StoreClient(*old).keep_alive(id, prefix));
    OwnLease repeat{.ttl = Ttl{60}, .id = id, .client_chosen = true};
    EXPECT_EQ(error_of(grant(*now, name + "-b", repeat)), Errc::lease_in_use);
    EXPECT_EQ(error_of(client.revoke(id, prefix)), std::nullopt);
    EXPECT_FALSE(client.get(prefix + name));
    EXPECT_EQ(error_of(StoreClient(*old).keep_alive(id, prefix)), Errc::lease_not_found);
    EXPECT_TRUE(grant(*now, name + "-b", repeat)) << "it is free again";
  }
}

TEST_F(EtcdOwnLeasesOnEtcd, SafetyR33_AnotherServerKeepsGrantsOfAServerThatIsGone) {
  auto first = store(Mode::shared);
  LeaseId kept = granted(*first, "kept", Ttl{4});
  LeaseId left = granted(*first, "left", Ttl{4});
  first.reset();
  auto second = store(Mode::shared);
  StoreClient client(*second);
  Revision created = client.get(prefix + "kept")->created;
  auto end = std::chrono::steady_clock::now() + seconds(8);
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_TRUE(client.keep_alive(kept, prefix));
    pass(milliseconds(500));
  }
  EXPECT_EQ(client.get(prefix + "kept")->created, created);
  EXPECT_FALSE(client.get(prefix + "left"));
  EXPECT_FALSE(client.lease(left)) << "its index entry ends with it";
}

// The machine is paused, with all its clocks: a lease that others share was granted before.
TEST_F(EtcdOwnLeasesOnEtcd, SafetyR33_APauseShortensNoPromise) {
  PausableClock pausable;
  auto paused = store_at(etcd.urls(), Mode::shared, pausable);
  auto right = store(Mode::shared);
  LeaseId before = granted(*paused, "before", Ttl{20});
  pausable.pause();
  pass(milliseconds(4500));
  pausable.resume();
  granted(*paused, "after", Ttl{20});
  ASSERT_TRUE(StoreClient(*paused).keep_alive(before, prefix));
  for (auto name : {"before", "after"}) {
    Entry entry = StoreClient(*right).get(prefix + name).value();
    auto life = StoreClient(*right).lease_life(entry.lease).value();
    EXPECT_GE(life.at_most_until, clock.boot_now() + seconds(20) - milliseconds(1000)) << name;
  }
  EXPECT_THAT(StoreClient(*right).keys_of(before), ElementsAre(prefix + "before"));
}

// An etcd of three members; its leader gets stopped.
class EtcdStoppedLeader : public testing::Test {
 protected:
  // The server is given the leader first, so it talks to it.
  std::vector<std::string> urls_from(std::size_t first) {
    std::vector<std::string> urls;
    for (std::size_t i = 0; i < 3; ++i) urls.push_back(etcd.member((first + i) % 3).url());
    return urls;
  }

  static BootTime now() { return SystemClock().boot_now(); }

  EtcdServer etcd{{.members = 3}};
  SystemClock clock;
};

class EtcdStoppedLeaderInBothModes : public EtcdStoppedLeader, public testing::WithParamInterface<Mode> {};
INSTANTIATE_TEST_SUITE_P(Modes, EtcdStoppedLeaderInBothModes, testing::Values(Mode::shared, Mode::own),
                         [](const auto& mode) { return mode.param == Mode::shared ? "Shared" : "Own"; });

// On waking, the leader answers from what it knew before.
TEST_P(EtcdStoppedLeaderInBothModes, SafetyR33_ItsAnswersOnWakingPromiseNothing) {
  std::size_t leader = etcd.leader();
  auto store = store_at(urls_from(leader), GetParam(), clock);
  auto other = store_at(urls_from((leader + 1) % 3), GetParam(), clock);
  StoreClient client(*store);
  OwnLease own{.ttl = Ttl{12}, .id = std::nullopt};
  LeaseId id = client.create("/leases/a", "value", own).lease;
  ASSERT_TRUE(client.keep_alive(id, "/leases/")) << "its stream leads to the leader, and is quiet from now on";
  etcd.member(leader).stop();
  pass(milliseconds(7600));
  std::thread wakes([&] {
    pass(milliseconds(400));
    etcd.member(leader).resume();
  });
  BootTime called = now();
  auto kept = run_task(store->keep_alive(id, "/leases/", Deadline{called + seconds(5)}));
  wakes.join();
  if (!kept && kept.error().code == Errc::lease_not_found) return;  // it is told so
  BootTime promised = kept ? called + *kept - milliseconds(300) : called;
  StoreClient elsewhere(*other);
  while (now() < promised) {
    ASSERT_TRUE(elsewhere.get("/leases/a"))
        << std::chrono::duration<double>(promised - now()).count() << " s too early";
    pass(milliseconds(100));
  }
}

// On waking, the leader ends what it believes to be over.
TEST_F(EtcdStoppedLeader, SafetyR33_ItEndsNothingThatOthersRenewed) {
  constexpr int kLeases = 60;
  constexpr Ttl kTtl{6};
  std::size_t leader = etcd.leader();
  auto store = store_at(urls_from((leader + 1) % 3), Mode::shared, clock);
  StoreClient client(*store);
  std::vector<LeaseId> ids;
  OwnLease own{.ttl = kTtl, .id = std::nullopt};
  for (int i = 0; i < kLeases; ++i) ids.push_back(client.create("/leases/" + std::to_string(i), "v", own).lease);
  std::vector<BootTime> promised(kLeases);
  auto keep = [&](std::size_t i) -> bool {
    BootTime called = now();
    auto kept = run_task(store->keep_alive(ids[i], "/leases/", Deadline{called + seconds(2)}));
    if (kept) promised[i] = called + *kept;
    return kept || kept.error().code != Errc::lease_not_found;
  };
  etcd.member(leader).stop();
  BootTime wakes = now() + seconds(7);
  bool lives = true;
  for (bool awake = false; now() < wakes + seconds(3);) {
    if (!awake && now() >= wakes) {
      etcd.member(leader).resume();
      awake = true;
    }
    for (std::size_t i = 0; i < kLeases; ++i) lives = keep(i) && lives;
    EXPECT_TRUE(lives) << "one was lost that was kept alive";
    if (!lives) return;
    pass(milliseconds(100));
  }
  auto left = client.keys_under("/leases/").size();
  EXPECT_EQ(left, static_cast<std::size_t>(kLeases));
  EXPECT_GT(*std::ranges::min_element(promised), now()) << "all are promised for a while yet";
}

}  // namespace
}  // namespace sharedlock::test
