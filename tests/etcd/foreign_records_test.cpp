// What the programs that we replace wrote to etcd, and what is not theirs: respected, taken over, or left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "etcd/layout_fixture.h"
#include "etcd/stored.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

TEST_F(EtcdLayout, AValueOfTheGoServiceIsRespected) {
  auto lease = put_under_lease(etcd(), "/shared-lock/go", "{\"any\": \"value\"}", 60);
  EXPECT_EQ(service().grant("go").status, 202);
  EXPECT_EQ(service().keep_alive(std::to_string(lease)).status, 200) << "its lease, through us";
  EXPECT_EQ(stored(etcd(), "/shared-lock/go").value, "{\"any\": \"value\"}") << "untouched";
  etcd().etcdctl({"lease", "revoke", in_hex(lease)});
  EXPECT_EQ(service().grant("go").status, 201) << "their holder has ended it";
}

TEST_F(EtcdLayout, TheGoServiceRespectsOurs) {
  auto granted = beside_go().grant("for-go");
  ASSERT_EQ(granted.status, 201);
  EXPECT_FALSE(put_if_absent(etcd(), "/shared-lock/for-go", "theirs"));
  etcd().etcdctl({"lease", "revoke", in_hex(std::stoll(granted.body))});
  EXPECT_TRUE(put_if_absent(etcd(), "/shared-lock/for-go", "theirs"));
  EXPECT_EQ(service().grant("for-go").status, 202) << "also without any lease";
}

TEST_F(EtcdLayout, ARecordOfTheJavaServiceIsRespected) {
  std::int64_t expiry = epoch_now() + 60;
  put_under_lease(etcd(), "locks/space:java", java_record("java", "theirs-1", 60, expiry), 60);
  auto refused = service().acquire("java", "ours-1");
  EXPECT_EQ(refused.status, 423) << refused.body;
  EXPECT_EQ(service().renew("java", "ours-1").status, 423);
  EXPECT_EQ(service().release("java", "ours-1").status, 423);
  auto token = stored(etcd(), "locks/space:java").mod_revision;
  EXPECT_EQ(service().look("java").body, R"({"namespace":"space","lockName":"java","owner":"anonymous","expiry":)" +
                                             std::to_string(expiry) + R"(,"fencingToken":)" + std::to_string(token) +
                                             R"(,"waiters":0})");
}

// As the Java service writes it for a token without `sub`, and as it shows it: held, without an owner.
TEST_F(EtcdLayout, ARecordWithoutAnOwnerBelongsToNoCaller) {
  std::int64_t expiry = epoch_now() + 60;
  std::string record = java_record("ownerless", "theirs-1", 60, expiry);
  const std::string owner = R"("owner":"anonymous")";
  record.replace(record.find(owner), owner.size(), R"("owner":null)");
  put_under_lease(etcd(), "locks/space:ownerless", record, 60);
  auto token = stored(etcd(), "locks/space:ownerless").mod_revision;
  EXPECT_EQ(service().look("ownerless").body, R"({"namespace":"space","lockName":"ownerless","expiry":)" +
                                                  std::to_string(expiry) + R"(,"fencingToken":)" +
                                                  std::to_string(token) + R"(,"waiters":0})");
  for (const char* instance : {"theirs-1", "ours-1"}) {
    auto refused = service().acquire("ownerless", instance);
    EXPECT_EQ(refused.status, 423) << refused.body;
    EXPECT_THAT(refused.body, AllOf(HasSubstr(std::to_string(expiry)), Not(HasSubstr(R"("owner")"))));
    EXPECT_EQ(service().renew("ownerless", instance).status, 423);
    EXPECT_EQ(service().release("ownerless", instance).status, 423);
  }
  EXPECT_EQ(stored(etcd(), "locks/space:ownerless").value, record) << "nothing changed";
  auto forced = service().ask("DELETE", "/v1/space/lock/ownerless", "", "X-Admin-Token: the-token-of-the-admin\r\n");
  EXPECT_EQ(forced.status, 200) << forced.body;
  EXPECT_EQ(service().acquire("ownerless", "ours-1").status, 200);
}

TEST_F(EtcdLayout, AHolderThatBeganWithTheJavaServiceGoesOnHere) {
  std::int64_t expiry = epoch_now() + 60;
  put_under_lease(etcd(), "locks/space:moved", java_record("moved", "mover-1", 60, expiry), 60);
  auto renewed = service().renew("moved", "mover-1", 30);
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_THAT(renewed.body, HasSubstr(R"("leaseDuration":90,"expiry":)" + std::to_string(expiry + 30)));
  EXPECT_EQ(service().release("moved", "mover-1").status, 200);
  EXPECT_FALSE(stored(etcd(), "locks/space:moved").found);
}

TEST_F(EtcdLayout, SafetyR30_UnknownMembersSurviveARenewalButNoAcquire) {
  std::string record = java_record("members", "mover-1", 60, epoch_now() + 60);
  record.insert(record.size() - 1, R"(,"note":{"big":12345678901234567890,"x":[1,2.50]})");
  put_under_lease(etcd(), "locks/space:members", record, 60);
  ASSERT_EQ(service().renew("members", "mover-1", 30).status, 200);
  EXPECT_THAT(stored(etcd(), "locks/space:members").value,
              HasSubstr(R"("note":{"big":12345678901234567890,"x":[1,2.50]})"));
  ASSERT_EQ(service().acquire("members", "mover-1", 30).status, 200);
  EXPECT_THAT(stored(etcd(), "locks/space:members").value, Not(HasSubstr("note")));
}

TEST_F(EtcdLayout, AGarbageRecordIsAnErrorForThatLockAlone) {
  put_under_lease(etcd(), "locks/space:garbage", "not a record", 60);
  for (const auto& answer : {service().acquire("garbage", "instance-1"), service().renew("garbage", "instance-1"),
                             service().release("garbage", "instance-1"), service().look("garbage")}) {
    EXPECT_EQ(answer.status, 500);
    EXPECT_THAT(answer.body, HasSubstr("Lock record unreadable"));
  }
  EXPECT_EQ(stored(etcd(), "locks/space:garbage").value, "not a record") << "untouched";
  EXPECT_TRUE(service().server().says("locks/space:garbage")) << "the log names it";
  EXPECT_EQ(service().acquire("no-garbage", "instance-1").status, 200);
  etcd().etcdctl({"del", "locks/space:garbage"});
  EXPECT_EQ(service().acquire("garbage", "instance-1").status, 200) << "taken away by hand";
}

TEST_F(EtcdLayout, SafetyR10_ARecordWithoutALeaseIsTakenOverOnlyWhenItIsSurelyOver) {
  etcd().etcdctl({"put", "locks/space:no-lease", java_record("no-lease", "gone-1", 0, epoch_now() - 100)});
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(service().acquire("no-lease", "instance-1").status, 423) << "seen for the first time";
  EXPECT_TRUE(
      eventually([] { return service().acquire("no-lease", "instance-1").status == 200; }, std::chrono::seconds(30)));
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, Ge(std::chrono::seconds(10)));

  etcd().etcdctl({"put", "locks/space:lasting", java_record("lasting", "there-1", 1, epoch_now() + 1000)});
  EXPECT_EQ(service().acquire("lasting", "instance-1").status, 423);
}

TEST_F(EtcdLayout, SafetyR10_AnExpiredRecordUnderALivingLeaseIsKept) {
  put_under_lease(etcd(), "locks/space:skewed", java_record("skewed", "theirs-1", 1, epoch_now() - 100), 60);
  EXPECT_EQ(service().acquire("skewed", "instance-1").status, 423);
  EXPECT_EQ(service().acquire("skewed", "instance-1").status, 423);
}

TEST_F(EtcdLayout, SafetyR10_ClockSkewIsExported) {
  ServiceOnEtcd fresh(etcd());
  ASSERT_TRUE(fresh.becomes_ready());
  auto difference = [&] { return fresh.metric("shared_lock_clock_difference_seconds"); };
  ASSERT_EQ(fresh.acquire("clocks", "instance-1").status, 200);
  ASSERT_EQ(fresh.look("clocks").status, 200);
  EXPECT_EQ(difference(), 0);
  put_under_lease(etcd(), "locks/space:behind", java_record("behind", "theirs-1", 1, epoch_now() - 100), 60);
  ASSERT_EQ(fresh.look("behind").status, 200);
  EXPECT_THAT(difference(), AllOf(Ge(-105), Le(-100)));
  put_under_lease(etcd(), "locks/space:ahead", java_record("ahead", "theirs-1", 60, epoch_now() + 460), 60);
  ASSERT_EQ(fresh.look("ahead").status, 200);
  EXPECT_THAT(difference(), AllOf(Ge(395), Le(400)));
}

}  // namespace
}  // namespace sharedlock::test
