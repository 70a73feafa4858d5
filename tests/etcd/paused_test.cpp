// A machine that is paused, with all its clocks, while its server holds leases that others may share (R34).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/random.h"
#include "contract/store_client.h"
#include "lock/lock_service.h"
#include "lock/lock_set_service.h"
#include "store/etcd/etcd_store.h"
#include "support/background_call.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"
#include "support/pausable_clock.h"
#include "support/run_task.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<LeaseStore> store_on(EtcdServer& etcd, Clock& clock) {
  EtcdOptions options;
  options.endpoints = etcd.urls();
  return make_etcd_store(std::move(options), clock, silent_log()).value();
}

// A server on that machine.
class PausedServer {
 public:
  PausedServer(EtcdServer& etcd, Clock& clock) : clock_(clock), store_(store_on(etcd, clock)) {}

  LockGrant acquire(const std::string& name, seconds duration) {
    return grant_of(run_task(locks_.acquire({{"space", name}, {"owner", "mine"}, duration, clock_.boot_now()})));
  }
  LockGrant renew(const std::string& name, seconds duration) {
    return grant_of(
        run_task(locks_.renew({{"space", name}, {"owner", "mine"}, duration, RenewFrom::now, {}, clock_.boot_now()})));
  }
  SetGrant acquire_all(std::vector<std::string> names, seconds duration) {
    AcquireRequest each{.lock = {}, .holder = {"owner", "mine"}, .duration = duration, .received = clock_.boot_now()};
    auto answer = run_task(sets_.acquire_all({"space", std::move(names)}, std::move(each)));
    bool granted = answer && std::holds_alternative<SetGrant>(*answer);
    EXPECT_TRUE(granted);
    return granted ? std::get<SetGrant>(*std::move(answer)) : SetGrant{};
  }

 private:
  static LockGrant grant_of(Result<LockAnswer> answer) {
    bool granted = answer && std::holds_alternative<LockGrant>(*answer);
    EXPECT_TRUE(granted) << (answer ? "refused" : answer.error().message);
    return granted ? std::get<LockGrant>(*std::move(answer)) : LockGrant{};
  }

  Clock& clock_;
  std::unique_ptr<LeaseStore> store_;
  LockService locks_{{}, *store_, clock_, silent_log()};
  LockSetService sets_{locks_};
};

class EtcdPausedMachine : public testing::Test {
 protected:
  // Expects that etcd keeps the promise, as seen by a machine that was never paused, if less than kSlowest has passed
  // since.
  void expect_kept(const LockGrant& grant, const std::string& name) {
    auto entry = run_task(right_store->get("locks/space:" + name, Deadline::never())).value().entry.value();
    auto life = run_task(right_store->lease_life(entry.lease, Deadline::never())).value().value();
    EXPECT_GE(life.at_most_until, right_clock.boot_now() + grant.ttl - kSlowest) << name;
    EXPECT_EQ(grant.revision, entry.revision) << name;
    EXPECT_LE(life.surely_until, right_clock.boot_now() + grant.ttl + seconds(3)) << name;
  }

  // Less than the clocks fell behind, even after etcd's rounding.
  static constexpr milliseconds kSlowest{1000};
  static constexpr milliseconds kPause{4500};

  EtcdServer& etcd = EtcdServer::shared();
  SystemClock right_clock;
  std::unique_ptr<LeaseStore> right_store = store_on(etcd, right_clock);
  PausableClock clock;
};

// Each by a server of its own: the first server that notices forgets all leases from before.
TEST_F(EtcdPausedMachine, SafetyR34_APauseShortensNoLaterPromise) {
  std::array<std::unique_ptr<PausedServer>, 4> servers;
  for (auto& server : servers) server = std::make_unique<PausedServer>(etcd, clock);
  auto& [grants, renews, keeps, takes_sets] = servers;
  const std::string name = random_uuid();
  for (std::size_t i = 0; i < servers.size(); ++i) servers[i]->acquire(name + std::to_string(i), seconds(20));

  clock.pause();
  std::this_thread::sleep_for(kPause);  // real time: nobody can move etcd's clock
  clock.resume();

  expect_kept(grants->acquire(name + "-new", seconds(20)), name + "-new");
  expect_kept(grants->acquire(name + "-next", seconds(20)), name + "-next");
  expect_kept(renews->renew(name + "1", seconds(20)), name + "1");
  LockGrant kept = keeps->renew(name + "2", seconds(10));
  EXPECT_GE(kept.ttl, seconds(18)) << "as it knew";
  expect_kept(kept, name + "2");
  for (const LockGrant& grant : takes_sets->acquire_all({name + "-a", name + "-b"}, seconds(20))) {
    expect_kept(grant, grant.record.lock.name);
  }
}

// The others share the lease to which the first of them is moved.
TEST_F(EtcdPausedMachine, EntriesThatAreMovedTogetherShareALease) {
  auto store = store_on(etcd, clock);
  LockService locks{{}, *store, clock, silent_log()};
  const std::string name = random_uuid();
  std::deque<AcquireRequest> requests;
  auto acquire = [&](int i) {
    requests.push_back({.lock = {"space", name + std::to_string(i)},
                        .holder = {"owner", "mine"},
                        .duration = seconds(20),
                        .received = clock.boot_now()});
    return locks.acquire(requests.back());
  };
  ASSERT_TRUE(run_task(acquire(0)));
  clock.pause();
  std::this_thread::sleep_for(kPause);  // real time: nobody can move etcd's clock
  clock.resume();
  IoThreads threads(1);
  std::vector<std::unique_ptr<BackgroundCall<Result<LockAnswer>>>> calls;
  for (int i = 1; i <= 16; ++i) {
    calls.push_back(std::make_unique<BackgroundCall<Result<LockAnswer>>>(threads.executor(0), acquire(i)));
  }
  for (auto& call : calls) EXPECT_TRUE(call->result());
  std::set<LeaseId> leases;
  for (int i = 1; i <= 16; ++i) {
    auto found = run_task(store->get("locks/space:" + name + std::to_string(i), Deadline::never())).value();
    leases.insert(found.entry.value().lease);
  }
  EXPECT_LE(leases.size(), 4u);
}

// Without a pause nothing is moved: an acquire is one change.
TEST_F(EtcdPausedMachine, SafetyR34_WithoutAPauseNothingIsMoved) {
  PausedServer server(etcd, clock);
  const std::string name = random_uuid();
  for (int i = 0; i < 30; ++i) {
    std::string each = name + std::to_string(i);
    server.acquire(each, seconds(20));
    server.renew(each, seconds(10));
    std::string shown = etcd.etcdctl({"get", "-w", "json", "locks/space:" + each});
    EXPECT_NE(shown.find(R"("version":2)"), std::string::npos) << shown;
  }
}

}  // namespace
}  // namespace sharedlock::test
