// What the lease API can do beyond the service that it replaces, on etcd: two servers that are given the same id,
// leases that belong to others, and queues for keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/asking.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::AnyOf;

std::string fresh_id() {
  static std::mt19937_64 random(std::random_device{}());
  return std::to_string((random() >> 2) | (std::uint64_t{1} << 41));
}

class EtcdLeaseExtras : public testing::Test {
 protected:
  void SetUp() override {
    for (ServiceOnEtcd* service : {&one, &two}) ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  }
  static TestResponse with_id(ServiceOnEtcd& service, const std::string& key, const std::string& id,
                              const std::string& value = "v", int ttl = 60) {
    return service.ask("POST", "/lease", R"({"key":")" + key + R"(","value":")" + value + "\"}",
                       "x-lease-id: " + id + "\r\nx-lease-ttl: " + std::to_string(ttl) + "s\r\n");
  }

  EtcdServer etcd;
  ServiceOnEtcd one{etcd};
  ServiceOnEtcd two{etcd};
};

TEST_F(EtcdLeaseExtras, SafetyR01_ARepeatOnAnotherServerFindsItsLease) {
  std::string id = fresh_id();
  auto first = with_id(one, "repeat", id);
  ASSERT_EQ(first.status, 201) << first.body;
  auto again = with_id(two, "repeat", id);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, id);
  EXPECT_EQ(again.header("x-fencing-token"), first.header("x-fencing-token"));
  EXPECT_EQ(with_id(two, "repeat", id, "another value").status, 409);
  EXPECT_EQ(with_id(two, "another", id).status, 409);
  EXPECT_EQ(with_id(two, "repeat", fresh_id()).status, 202);
}

// R3: each server may see the other's grant as an obstacle; neither may end it.
TEST_F(EtcdLeaseExtras, SafetyR03_TwoServersThatAreGivenOneIdAtOnceKeepItsLease) {
  for (int i = 0; i < 40; ++i) {
    std::string id = fresh_id();
    std::string key = "both-" + std::to_string(i);
    TestResponse other;
    std::jthread at_once([&] { other = with_id(two, key, id); });
    auto mine = with_id(one, key, id);
    at_once.join();
    EXPECT_EQ(mine.status, 201) << mine.body;
    EXPECT_EQ(other.status, 201) << other.body;
    EXPECT_EQ(stored(etcd, "/shared-lock.id/" + id).value, "60 /shared-lock/" + key);
    EXPECT_EQ(one.keep_alive(id).status, 200);
  }
}

// The second request has another key. It loses, and the lease that it leaves behind is not the first one's.
TEST_F(EtcdLeaseExtras, SafetyR03_OneIdForTwoKeysEndsNeitherLease) {
  for (int i = 0; i < 40; ++i) {
    std::string id = fresh_id();
    std::string key = "key-" + std::to_string(i);
    TestResponse other;
    std::jthread at_once([&] { other = with_id(two, "other-" + key, id); });
    auto mine = with_id(one, key, id);
    at_once.join();
    EXPECT_THAT(mine.status, AnyOf(201, 409, 500)) << mine.body;
    EXPECT_THAT(other.status, AnyOf(201, 409, 500)) << other.body;
    if (mine.status == 201) {
      EXPECT_TRUE(stored(etcd, "/shared-lock/" + key).found) << "it was acknowledged";
    }
    if (other.status == 201) {
      EXPECT_TRUE(stored(etcd, "/shared-lock/other-" + key).found) << "it was acknowledged";
    }
  }
}

TEST_F(EtcdLeaseExtras, SafetyR03_ARefusedIdIsLeftToItsTtl) {
  ASSERT_EQ(one.grant("taken", 60).status, 201);
  std::string id = fresh_id();
  EXPECT_EQ(with_id(one, "taken", id).status, 202);
  EXPECT_EQ(with_id(one, "free", id).status, 201) << "it can still be used";
}

TEST_F(EtcdLeaseExtras, TheNewerOfTwoRequestsOfOneIdTakesOverTheEntryOnAnotherServerToo) {
  auto held = one.grant("twice", 60);
  ASSERT_EQ(held.status, 201);
  std::string id = fresh_id();
  auto waiting = [](ServiceOnEtcd& service, const std::string& with_id) {
    return Asking(service.server(), "/lease", R"({"key":"twice"})", "x-lease-wait: 60s\r\n" + with_id);
  };
  Asking older = waiting(one, "x-lease-id: " + id + "\r\n");
  EXPECT_TRUE(older.is_silent(1000));
  Asking other = waiting(one, "");
  EXPECT_TRUE(other.is_silent(1000));
  Asking newer = waiting(two, "x-lease-id: " + id + "\r\n");
  EXPECT_EQ(older.answer().status, 409);
  ASSERT_EQ(one.ask("POST", "/release", held.body).status, 200);
  EXPECT_EQ(newer.answer().body, id) << "before the one that came between";
  EXPECT_TRUE(other.is_silent());
  ASSERT_EQ(one.ask("POST", "/release", id).status, 200);
  EXPECT_EQ(other.answer().status, 201);
}

TEST_F(EtcdLeaseExtras, SafetyR04_OnlyLeasesOfThisApiAreReleased) {
  std::int64_t foreign = put_under_lease(etcd, "/of-another-program", "v", 600);
  EXPECT_EQ(one.ask("POST", "/release", std::to_string(foreign)).status, 204);
  EXPECT_TRUE(stored(etcd, "/of-another-program").found);

  ASSERT_EQ(one.acquire("pooled", "instance-1").status, 200);
  std::int64_t pooled = stored(etcd, "locks/space:pooled").lease;
  EXPECT_EQ(one.ask("POST", "/release", std::to_string(pooled)).status, 204);
  EXPECT_EQ(with_id(one, "under-a-pooled-one", std::to_string(pooled)).status, 409);
  EXPECT_TRUE(stored(etcd, "locks/space:pooled").found);

  auto granted = one.grant("mine", 60);
  EXPECT_EQ(two.ask("POST", "/release", granted.body).status, 200);
  EXPECT_FALSE(stored(etcd, "/shared-lock/mine").found);
  EXPECT_FALSE(stored(etcd, "/shared-lock.id/" + granted.body).found);
}

TEST_F(EtcdLeaseExtras, WithTheCacheAReleasedKeyIsFreeAtOnce) {
  ServiceOnEtcd cached(etcd, {{"SHARED_LOCK_CACHE_ENABLED", "true"}});
  ASSERT_TRUE(cached.becomes_ready());
  for (int i = 0; i < 50; ++i) {
    auto granted = cached.grant("cached", 60);
    ASSERT_EQ(granted.status, 201) << i;
    EXPECT_EQ(cached.grant("cached", 60).status, 202);
    EXPECT_EQ(cached.grant("cached", 60).status, 202) << "from the cache, perhaps";
    ASSERT_EQ(cached.ask("POST", "/release", granted.body).status, 200);
  }
  std::string id = fresh_id();
  ASSERT_EQ(with_id(cached, "known", id).status, 201);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(cached.grant("known", 60).status, 202);
  EXPECT_EQ(with_id(cached, "known", id).status, 201) << "R1: never answered by the cache";
}

TEST_F(EtcdLeaseExtras, LeasesAreShownAndForceReleased) {
  ServiceOnEtcd admin(etcd, {{"SHARED_LOCK_ADMIN_TOKEN", "an-admin-token-of-some-length"}});
  ASSERT_TRUE(admin.becomes_ready());
  auto granted = one.grant("seen", 60, "worker-1");
  auto seen = two.ask("GET", "/lease?key=seen");
  EXPECT_EQ(seen.status, 200);
  EXPECT_THAT(seen.body, testing::HasSubstr(R"("value":"worker-1")"));
  EXPECT_EQ(admin.ask("DELETE", "/lease?key=seen", "", "X-Admin-Token: an-admin-token-of-some-length\r\n").status, 200);
  EXPECT_EQ(two.ask("GET", "/lease?key=seen").status, 404);
  EXPECT_TRUE(stored(etcd, "/shared-lock.id/" + granted.body).found) << "it lives on without the key";
  EXPECT_EQ(one.keep_alive(granted.body).status, 204) << "but it is lost";
}

TEST_F(EtcdLeaseExtras, AWaiterOnAnotherServerGetsTheKeyWhenItIsReleased) {
  auto held = one.grant("waited", 60);
  auto client = two.server().connect();
  client.send(
      "POST /lease HTTP/1.1\r\nHost: h\r\nx-lease-wait: 30s\r\nx-lease-ttl: 7s\r\nContent-Length: 16\r\n\r\n"
      "{\"key\":\"waited\"}");
  ASSERT_TRUE(eventually([&] { return !etcd.etcdctl({"get", "--prefix", "/shared-lock.queue/"}).empty(); }));
  EXPECT_EQ(client.read_for(100), "");
  ASSERT_EQ(one.ask("POST", "/release", held.body).status, 200);
  auto granted = client.read_response();
  EXPECT_EQ(granted.status, 201);
  EXPECT_EQ(granted.header("x-lease-ttl"), "7");
  EXPECT_EQ(one.keep_alive(granted.body).status, 200);
  EXPECT_TRUE(etcd.etcdctl({"get", "--prefix", "/shared-lock.queue/"}).empty()) << "nobody waits any more";
}

}  // namespace
}  // namespace sharedlock::test
