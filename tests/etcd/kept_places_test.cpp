// Queue entries that are kept for clients that were cut off (R37), on etcd, with two servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/asking.h"
#include "support/slow_link.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Ge;
using testing::Le;

constexpr auto kAcquireSet = "/v1/space/locks/acquire";
constexpr auto kSet = R"("names":["set-b","set-a"],)";

std::string path_of(const std::string& name) {
  return "/v1/space/lock/" + name + "/acquire";
}
// An acquire that waits with its queue entry to be kept; of one lock, or with "names" of several.
std::string asked(const std::string& instance, const std::string& names = "") {
  return "{" + names + R"("instanceId":")" + instance + R"(","leaseDuration":300,"wait":300,"keepPlace":10})";
}

class EtcdKeptPlaces : public testing::Test {
 protected:
  void SetUp() override {
    for (ServiceOnEtcd* service : {&one, &two}) ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s\n%s\n", one.server().err().c_str(), two.server().err().c_str());
  }
  std::int64_t waiters(const std::string& name) {
    std::string lock = two.look(name).body;
    auto at = lock.find(R"("waiters":)");
    return at == std::string::npos ? -1 : std::stoll(lock.substr(at + 10));
  }
  static bool has_here(ServiceOnEtcd& service, double clients) {
    return eventually([&] { return service.metric("shared_lock_lock_waiters") == clients; }, 20s);
  }
  // A waiting request that has its queue entry when this returns.
  Asking waiting(ServiceOnEtcd& service, const std::string& name, const std::string& instance) {
    std::int64_t before = waiters(name);
    Asking asking(service.server(), path_of(name), asked(instance));
    EXPECT_TRUE(eventually([&] { return waiters(name) == before + 1; }, 20s));
    return asking;
  }
  // What is stored for a queue: the lease of the first key, which is its server's session, and the keys.
  std::int64_t session_of(const std::string& line) {
    std::string keys = etcd.etcdctl({"get", "--prefix", "--keys-only", "locks/.queue/space:" + line + "/"});
    return stored(etcd, keys.substr(0, keys.find('\n'))).lease;
  }

  EtcdServer etcd;
  ServiceOnEtcd one{etcd};
  ServiceOnEtcd two{etcd};
};

// The connection is cut on its way. The entry then belongs to the other server: the first one's session takes its other
// entries with it, not this one, and the first server does not join it again (R24).
TEST_F(EtcdKeptPlaces, SafetyR37_AClientThatIsCutOffGetsItsEntryBackOnAnotherServer) {
  ASSERT_EQ(two.acquire("kept", "instance-1").status, 200);
  SlowLink link("127.0.0.1", one.server().port());
  auto port = static_cast<std::uint16_t>(std::stoi(link.url().substr(link.url().rfind(':') + 1)));
  http::TestClient second(port);
  second.send_request("POST", path_of("kept"), asked("instance-2"));
  ASSERT_TRUE(eventually([&] { return waiters("kept") == 1; }, 20s));
  std::int64_t session = session_of("kept");
  Asking third = waiting(one, "kept", "instance-3");
  link.lead_to(two.server().port());
  http::TestClient again(port);
  again.send_request("POST", path_of("kept"), asked("instance-2"));
  ASSERT_TRUE(eventually([&] { return session_of("kept") != session; }, 20s)) << "it stands under the other's session";
  EXPECT_EQ(waiters("kept"), 2);
  etcd.etcdctl({"lease", "revoke", in_hex(session)});
  ASSERT_TRUE(has_here(one, 1));
  ASSERT_TRUE(eventually([&] { return waiters("kept") == 2; }, 20s)) << "who is there joins again";
  ASSERT_EQ(two.release("kept", "instance-1").status, 200);
  EXPECT_EQ(again.read_response().status, 200);
  EXPECT_TRUE(third.is_silent());
  ASSERT_EQ(two.release("kept", "instance-2").status, 200);
  EXPECT_EQ(third.answer().status, 200);
  EXPECT_EQ(waiters("kept"), 0);
}

// Its entries live as long as its session, which leaves time to come back elsewhere.
TEST_F(EtcdKeptPlaces, SafetyR37_AClientOfAServerThatDiesGetsItsEntryBackOnAnother) {
  ASSERT_EQ(two.acquire("died", "instance-1").status, 200);
  Asking second = waiting(one, "died", "instance-2");
  std::int64_t session = session_of("died");
  Asking third = waiting(two, "died", "instance-3");
  one.process().signal(SIGKILL);
  Asking again(two.server(), path_of("died"), asked("instance-2"));
  ASSERT_TRUE(eventually([&] { return session_of("died") != session; }, 20s));
  ASSERT_EQ(two.release("died", "instance-1").status, 200);
  EXPECT_EQ(again.answer().status, 200);
  EXPECT_TRUE(third.is_silent());
}

// So every waiter keeps its entry over a rolling restart.
TEST_F(EtcdKeptPlaces, SafetyR37_AClientOfAServerThatEndsGetsItsEntryBackOnAnother) {
  ASSERT_EQ(two.acquire("ended", "instance-1").status, 200);
  Asking second = waiting(one, "ended", "instance-2");
  std::int64_t session = session_of("ended");
  Asking third = waiting(two, "ended", "instance-3");
  Asking fourth(one.server(), path_of("ended"), R"({"instanceId":"instance-4","leaseDuration":300,"wait":300})");
  ASSERT_TRUE(eventually([&] { return waiters("ended") == 3; }, 20s));
  one.process().signal(SIGTERM);
  EXPECT_EQ(second.answer().status, 503);
  EXPECT_EQ(fourth.answer().status, 503);
  EXPECT_EQ(one.process().wait(), 0);
  EXPECT_EQ(waiters("ended"), 2) << "nothing was to be kept for the last one";
  Asking again(two.server(), path_of("ended"), asked("instance-2"));
  ASSERT_TRUE(eventually([&] { return session_of("ended") != session; }, 20s));
  ASSERT_EQ(two.release("ended", "instance-1").status, 200);
  EXPECT_EQ(again.answer().status, 200);
  EXPECT_TRUE(third.is_silent());
}

TEST_F(EtcdKeptPlaces, SafetyR37_AnAbsentClientIsGrantedNothingAndPassedAfterASecond) {
  ASSERT_EQ(two.acquire("away", "instance-1").status, 200);
  Asking second = waiting(one, "away", "instance-2");
  Asking third = waiting(two, "away", "instance-3");
  second.disconnect();
  ASSERT_TRUE(has_here(one, 0));
  EXPECT_EQ(waiters("away"), 2);
  auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(two.release("away", "instance-1").status, 200);
  EXPECT_EQ(third.answer().status, 200);
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, AllOf(Ge(950ms), Le(5s)));
  EXPECT_EQ(waiters("away"), 0);
}

TEST_F(EtcdKeptPlaces, SafetyR37_SetsAndLeasesComeBackOnAnotherServerToo) {
  for (const auto* name : {"set-a", "set-b"}) ASSERT_EQ(two.acquire(name, "instance-1").status, 200);
  Asking second(one.server(), kAcquireSet, asked("instance-2", kSet));
  ASSERT_TRUE(eventually([&] { return waiters("set-b") == 1; }, 20s));
  std::int64_t session = session_of("set-b");
  Asking third = waiting(two, "set-b", "instance-3");
  auto held = two.grant("lease");
  ASSERT_EQ(held.status, 201);
  const std::string body = R"({"key":"lease","value":"v"})";
  const std::string waits = "x-lease-wait: 300s\r\nx-lease-keep-place: 10s\r\nx-lease-id: 219902325555";
  Asking lease_second(one.server(), "/lease", body, waits + "1\r\n");
  auto places = [&] { return etcd.etcdctl({"get", "--prefix", "--keys-only", "/shared-lock.queue/"}); };
  ASSERT_TRUE(eventually([&] { return !places().empty(); }, 20s));
  Asking lease_third(two.server(), "/lease", body, waits + "2\r\n");

  second.disconnect();
  lease_second.disconnect();
  Asking again(two.server(), kAcquireSet, asked("instance-2", kSet));
  Asking lease_again(two.server(), "/lease", body, waits + "1\r\n");
  for (const std::string line : {"set-a", "set-b"}) {
    ASSERT_TRUE(eventually([&] { return session_of(line) != session; }, 20s)) << line;
  }
  for (const auto* name : {"set-a", "set-b"}) ASSERT_EQ(two.release(name, "instance-1").status, 200);
  EXPECT_EQ(again.answer().status, 200);
  EXPECT_TRUE(third.is_silent());
  ASSERT_EQ(two.ask("POST", "/release", held.body).status, 200);
  EXPECT_EQ(lease_again.answer().status, 201);
  EXPECT_TRUE(lease_third.is_silent());
}

}  // namespace
}  // namespace sharedlock::test
