#include <functional>
#include <set>
#include <vector>

#include "base/io_threads.h"
#include "support/background_call.h"
#include "support/embedded_fixture.h"

// How the embedded store deals with its disk: when it waits for it, and what it does when the disk hangs or fails.
namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

template <class T>
Errc failure_of(const BackgroundCall<Result<T>>& call) {
  return error_of(call.result()).value();
}

class EmbeddedDisk : public EmbeddedFixture {
 protected:
  EmbeddedDisk() { open(); }
  // Calls that still wait for the disk end before the I/O threads and the store do.
  ~EmbeddedDisk() override {
    disk->release();
    for (const auto& has_ended : started_) EXPECT_TRUE(eventually(has_ended));
  }

  template <class T>
  BackgroundCall<T> start(Task<T> task, std::size_t thread = 0) {
    BackgroundCall<T> call(io.executor(thread), std::move(task));
    started_.emplace_back([call] { return call.has_ended(); });
    return call;
  }
  BackgroundCall<Result<Outcome>> start_put(std::string key, Deadline deadline = Deadline::never(),
                                            std::size_t thread = 0) {
    return start(store->commit(putting(std::move(key), ""), deadline), thread);
  }
  // Starts a put that hangs in its append.
  BackgroundCall<Result<Outcome>> hang_with(std::string key, Deadline deadline = Deadline::never()) {
    disk->block();
    auto call = start_put(std::move(key), deadline);
    EXPECT_TRUE(disk->hangs());
    return call;
  }
  bool is_applied(const std::string& key) {
    return eventually([&] { return client->get(key).has_value(); });
  }
  // The next append fails; it holds an entry "lost".
  void fail_a_write(MemoryDisk::Failure failure = MemoryDisk::Failure::lost) {
    disk->fail_append(disk->appends(), failure);
    EXPECT_EQ(error_of(client->commit(putting("lost", ""))), Errc::unavailable);
  }

  IoThreads io{3};

 private:
  std::vector<std::function<bool()>> started_;
};

TEST_F(EmbeddedDisk, ChangesThatGatherDuringASyncAreWrittenAsOneBatch) {
  std::vector<BackgroundCall<Result<Outcome>>> calls = {hang_with("first")};
  std::size_t before = disk->batches().size();
  for (int i = 0; i < 50; ++i) calls.push_back(start_put(std::to_string(i)));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(is_applied(std::to_string(i)));
  for (const auto& call : calls) EXPECT_FALSE(call.has_ended());

  disk->release();

  std::set<Revision> revisions;
  for (const auto& call : calls) revisions.insert(std::get<Committed>(call.result().value()).revision);
  EXPECT_THAT(revisions, SizeIs(51));
  EXPECT_EQ(disk->batches().size(), before + 2);
}

TEST_F(EmbeddedDisk, EveryCallerResumesOnItsOwnThread) {
  std::vector<std::thread::id> threads;
  for (std::size_t i = 0; i < io.size(); ++i) threads.push_back(start(store->get("a", Deadline::never()), i).thread());
  std::vector<BackgroundCall<Result<Outcome>>> calls = {hang_with("first")};
  for (std::size_t i = 1; i < 30; ++i) calls.push_back(start_put(std::to_string(i), Deadline::never(), i % io.size()));
  for (std::size_t i = 1; i < 30; ++i) ASSERT_TRUE(is_applied(std::to_string(i)));

  disk->release();

  for (std::size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i].thread(), threads[i % io.size()]);
}

TEST_F(EmbeddedDisk, SafetyR12_ARefusedTryIsAnsweredWhileTheDiskHangs) {
  auto holder = hang_with("lock");
  ASSERT_TRUE(is_applied("lock"));

  auto conflict =
      std::get<Conflict>(start(store->commit(StoreClient::creation("lock", ""), Deadline::never())).result().value());

  EXPECT_TRUE(conflict.current.at(0));
  EXPECT_FALSE(holder.has_ended());
}

TEST_F(EmbeddedDisk, SafetyR12_AnAnswerThatDependsOnAHangingWriteWaitsForIt) {
  Committed own = client->put("own", "", OwnLease{Ttl{60}, std::nullopt});
  auto holder = hang_with("lock");
  ASSERT_TRUE(is_applied("lock"));
  Revision as_of = client->find("lock").as_of;

  auto read = start(store->settled(as_of, Deadline::never()));
  auto kept = start(store->keep_alive(own.lease, "", Deadline::never()));
  auto nobodys = start(store->keep_alive(LeaseId{1}, "", Deadline::never()));
  auto not_revoked = start(store->revoke(LeaseId{1}, "", Deadline::never()));
  Transaction nothing{.expect = {}, .none_under = {}, .changes = {Erase{"absent"}}};
  auto repeat = start(store->commit(nothing, Deadline::never()));
  auto volatile_put = start(store->commit(putting("line", "", SessionLease()), Deadline::never()));
  ASSERT_TRUE(is_applied("line"));
  // The I/O thread runs one task after the other, so all of these have been processed by now.
  start(store->get("lock", Deadline::never())).result().value();
  EXPECT_FALSE(read.has_ended() || kept.has_ended() || nobodys.has_ended() || not_revoked.has_ended() ||
               repeat.has_ended() || volatile_put.has_ended());

  disk->release();

  EXPECT_TRUE(read.result());
  EXPECT_EQ(kept.result().value(), Ttl{60});
  EXPECT_EQ(failure_of(nobodys), Errc::lease_not_found);
  EXPECT_EQ(failure_of(not_revoked), Errc::lease_not_found);
  EXPECT_EQ(std::get<Committed>(repeat.result().value()).revision, as_of);
  EXPECT_TRUE(volatile_put.result());
}

TEST_F(EmbeddedDisk, SafetyR12_AnAnswerThatIsAlreadyOnDiskDoesNotWait) {
  Revision on_disk = client->put("a", "").revision;
  auto holder = hang_with("lock");

  EXPECT_TRUE(client->settled(on_disk));
}

TEST_F(EmbeddedDisk, SafetyR12_AnEndIsAnsweredOnceItIsOnDisk) {
  client->put("a", "", OwnLease{Ttl{60}, LeaseId{7}});
  disk->block();
  auto revoked = start(store->revoke(LeaseId{7}, "", Deadline::never()));
  ASSERT_TRUE(disk->hangs());
  EXPECT_FALSE(revoked.has_ended());

  disk->release();

  EXPECT_TRUE(revoked.result());
}

TEST_F(EmbeddedDisk, SafetyR12_TheEndOfALeaseWithoutEntriesIsAnsweredOnceItIsOnDisk) {
  client->put("a", "", OwnLease{Ttl{60}, LeaseId{7}});
  client->erase("a");
  disk->block();
  auto revoked = start(store->revoke(LeaseId{7}, "", Deadline::never()));
  ASSERT_TRUE(disk->hangs());
  auto again = start(store->revoke(LeaseId{7}, "", Deadline::never()));
  start(store->get("a", Deadline::never())).result().value();
  EXPECT_FALSE(revoked.has_ended() || again.has_ended());

  disk->release();

  EXPECT_TRUE(revoked.result());
  EXPECT_EQ(failure_of(again), Errc::lease_not_found);
}

TEST_F(EmbeddedDisk, SafetyR12_AWatchIsToldAfterTheSync) {
  WatchLog watch(*store, "");
  ASSERT_TRUE(watch.has_begun());
  auto holder = hang_with("lock");
  WatchLog late(*store, "");
  ASSERT_TRUE(is_applied("lock"));
  EXPECT_THAT(watch.batches(), IsEmpty());
  EXPECT_THAT(late.snapshots(), IsEmpty());

  disk->release();

  EXPECT_TRUE(watch.reaches(client->state_under("")));
  EXPECT_TRUE(late.reaches(client->state_under("")));
  EXPECT_THAT(watch.faults(), IsEmpty());
  EXPECT_THAT(late.faults(), IsEmpty());
}

TEST_F(EmbeddedDisk, AHangingDiskDelaysNoCallerPastItsDeadline) {
  Committed own = client->put("own", "", OwnLease{Ttl{60}, std::nullopt});
  auto first = hang_with("a", in(seconds(5)));
  auto gathering = start_put("b", in(seconds(5)));
  auto patient = start_put("c", in(seconds(50)));
  auto kept = start(store->keep_alive(own.lease, "", in(seconds(5))));
  auto revoked = start(store->revoke(own.lease, "no such prefix", in(seconds(5))));
  ASSERT_TRUE(is_applied("c"));
  auto read = start(store->settled(client->now(), in(seconds(5))));
  EXPECT_FALSE(first.has_ended() || gathering.has_ended());

  clock.advance(seconds(6));

  EXPECT_EQ(failure_of(first), Errc::deadline_exceeded);
  EXPECT_EQ(failure_of(gathering), Errc::deadline_exceeded);
  EXPECT_EQ(failure_of(kept), Errc::deadline_exceeded);
  EXPECT_EQ(failure_of(revoked), Errc::deadline_exceeded);
  EXPECT_EQ(failure_of(read), Errc::deadline_exceeded);
  EXPECT_FALSE(patient.has_ended());
  disk->release();
  EXPECT_TRUE(patient.result());
  EXPECT_TRUE(client->get("a") && client->get("b"));
}

TEST_F(EmbeddedDisk, KeepAliveThatOutlivesItsLeaseSaysThatTheLeaseIsLost) {
  Committed own = client->put("own", "", OwnLease{Ttl{4}, std::nullopt});
  auto other = hang_with("other");
  ASSERT_TRUE(is_applied("other"));
  auto kept = start(store->keep_alive(own.lease, "", in(seconds(30))));
  auto nobodys = start(store->keep_alive(LeaseId{1}, "", in(seconds(30))));
  start(store->get("a", Deadline::never())).result().value();

  clock.advance(seconds(31));

  EXPECT_EQ(failure_of(kept), Errc::lease_not_found);
  EXPECT_EQ(failure_of(nobodys), Errc::lease_not_found);
}

TEST_F(EmbeddedDisk, WaitingWritesDoNotFillTheMemory) {
  auto hanging = hang_with("a", in(seconds(1)));
  const std::string value(1 << 20, 'x');
  std::optional<Errc> refused;
  int taken = 0;
  for (; !refused && taken < 200; ++taken) {
    auto call = start(store->commit(putting("big", value), Deadline{clock.boot_now()}));
    if (error_of(call.result()) != Errc::deadline_exceeded) refused = error_of(call.result());
  }
  EXPECT_EQ(refused, Errc::overloaded);
  EXPECT_GT(taken, 50);
  Revision refused_at = client->now();

  disk->release();

  EXPECT_TRUE(client->settled(refused_at));
  EXPECT_GT(client->put("a", "").revision, refused_at);
}

TEST_F(EmbeddedDisk, PendingErasuresAndWatchEventsCountToo) {
  const std::string name(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) client->put(name + std::to_string(i), "");
  WatchLog watch(*store, "");
  ASSERT_TRUE(watch.has_begun());
  auto hanging = hang_with("a", in(seconds(1)));
  int erased = 0;
  auto erase = [&] {
    Transaction erasure{.expect = {}, .none_under = {}, .changes = {Erase{name + std::to_string(erased)}}};
    return error_of(start(store->commit(std::move(erasure), Deadline{clock.boot_now()})).result());
  };
  while (erased < 100 && erase() == Errc::deadline_exceeded) ++erased;
  // For the disk and for the watch: 2 MiB each.
  EXPECT_GT(erased, 25);
  EXPECT_LT(erased, 40);
}

TEST_F(EmbeddedDisk, AWriteRefusedBecauseTooMuchWaitsDidNotHappen) {
  auto hanging = hang_with("a", in(seconds(1)));
  const std::string value(1 << 20, 'x');
  std::optional<Errc> refused;
  int i = 0;
  for (; i < 200 && refused != Errc::overloaded; ++i) {
    auto call = start(store->commit(putting(std::to_string(i), value), Deadline{clock.boot_now()}));
    refused = error_of(call.result());
  }
  EXPECT_EQ(refused, Errc::overloaded);
  EXPECT_FALSE(outcome_unknown(*refused));
  EXPECT_TRUE(client->get(std::to_string(i - 2)));
  EXPECT_FALSE(client->get(std::to_string(i - 1)));
}

TEST_F(EmbeddedDisk, SafetyR13_AfterAFailedWriteEveryWaiterIsTold) {
  disk->fail_append(disk->appends(), MemoryDisk::Failure::lost);
  std::vector<BackgroundCall<Result<Outcome>>> calls = {hang_with("a")};
  for (int i = 0; i < 20; ++i) calls.push_back(start_put(std::to_string(i), Deadline::never(), 1));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(is_applied(std::to_string(i)));
  auto read = start(store->settled(client->now(), Deadline::never()), 2);
  std::size_t appends = disk->appends();

  disk->release();

  for (const auto& call : calls) EXPECT_EQ(failure_of(call), Errc::unavailable);
  EXPECT_EQ(failure_of(read), Errc::unavailable);
  close();
  EXPECT_EQ(disk->appends(), appends + 1);
}

TEST_F(EmbeddedDisk, SafetyR13_AfterAFailedWriteEverythingIsRefusedAndNothingWritten) {
  Committed own = client->put("own", "", OwnLease{Ttl{60}, std::nullopt});
  fail_a_write();
  std::size_t appends = disk->appends();

  Revision as_of{number_of(own.revision) + 1};
  EXPECT_EQ(error_of(client->commit(putting("a", ""))), Errc::unavailable);
  EXPECT_EQ(error_of(client->commit(StoreClient::creation("own", ""))), Errc::unavailable);
  EXPECT_EQ(error_of(client->commit(putting("line", "", SessionLease()))), Errc::unavailable);
  EXPECT_EQ(error_of(client->revoke(own.lease, "")), Errc::unavailable);
  EXPECT_EQ(error_of(client->settled(as_of)), Errc::unavailable);
  EXPECT_EQ(error_of(run_task(store->get("own", Deadline::never()))), Errc::unavailable);
  EXPECT_EQ(error_of(run_task(store->lease(own.lease, Deadline::never()))), Errc::unavailable);
  EXPECT_EQ(error_of(run_task(store->list("", "", 10, Deadline::never()))), Errc::unavailable);
  clock.advance(seconds(3600));
  close();
  EXPECT_EQ(disk->appends(), appends);
}

TEST_F(EmbeddedDisk, SafetyR13_AfterAFailedWriteKeepAliveTellsWhichLeasesLive) {
  Committed own = client->put("own", "", OwnLease{Ttl{60}, std::nullopt});
  Committed brief = client->put("brief", "", OwnLease{Ttl{10}, std::nullopt});
  fail_a_write();

  EXPECT_EQ(error_of(client->keep_alive(own.lease, "")), Errc::unavailable);
  EXPECT_EQ(error_of(client->keep_alive(brief.lease, "")), Errc::unavailable);
  EXPECT_EQ(error_of(client->keep_alive(LeaseId{1}, "")), Errc::lease_not_found);
  clock.advance(seconds(11));
  EXPECT_EQ(error_of(client->keep_alive(own.lease, "")), Errc::unavailable);
  EXPECT_EQ(error_of(client->keep_alive(brief.lease, "")), Errc::lease_not_found);
  // Nothing renewed it.
  clock.advance(seconds(51));
  EXPECT_EQ(error_of(client->keep_alive(own.lease, "")), Errc::lease_not_found);
}

TEST_F(EmbeddedDisk, SafetyR13_AfterAFailedWriteWatchersAreToldThatNothingIsLive) {
  std::atomic<int> dead = 0, others = 0;
  auto note = [&](const WatchEvent& event) {
    auto* liveness = std::get_if<Liveness>(&event);
    ++(liveness && !liveness->live ? dead : others);
  };
  Subscription before = store->watch("", std::nullopt, note);
  ASSERT_TRUE(eventually([&] { return others == 1; }));

  fail_a_write();
  Subscription after = store->watch("", std::nullopt, note);

  EXPECT_TRUE(eventually([&] { return dead == 2; }));
  EXPECT_EQ(others, 1);
}

TEST_F(EmbeddedDisk, SafetyR13_AWatchThatWaitsForAWriteThatFailsIsToldThatNothingIsLive) {
  std::atomic<int> dead = 0, others = 0;
  disk->fail_append(disk->appends(), MemoryDisk::Failure::lost);
  auto lost = hang_with("lost");
  ASSERT_TRUE(is_applied("lost"));
  Subscription watch = store->watch(
      "", std::nullopt, [&](const WatchEvent& event) { ++(std::holds_alternative<Liveness>(event) ? dead : others); });

  disk->release();

  EXPECT_TRUE(eventually([&] { return dead == 1; }));
  EXPECT_EQ(others, 0);
}

TEST_F(EmbeddedDisk, AStoreThatIsDestroyedWhileAWatchWaitsForTheDiskEndsWithTheDisk) {
  auto hanging = hang_with("a", in(seconds(1)));
  ASSERT_TRUE(is_applied("a"));
  {
    WatchLog watch(*store, "");
  }
  WatchLog gone(*store, "");
  gone.stop();
  clock.advance(seconds(2));
  EXPECT_EQ(failure_of(hanging), Errc::deadline_exceeded);
  std::jthread release([this] { disk->release(); });

  close();

  EXPECT_EQ(disk->replay().entries().size(), 1U);
}

TEST_F(EmbeddedDisk, AFailedWriteThatIsOnDiskAllTheSameIsThereAfterARestart) {
  client->put("a", "");
  fail_a_write(MemoryDisk::Failure::landed);

  reopen();

  EXPECT_THAT(client->keys_under(""), ::testing::ElementsAre("a", "lost"));
}

TEST_F(EmbeddedDisk, CallsFromManyThreadsAllEndWhenTheDiskFailsInBetween) {
  disk->fail_append(disk->appends() + 20, MemoryDisk::Failure::lost);
  std::vector<BackgroundCall<Result<Outcome>>> calls;
  for (std::size_t i = 0; i < 3000; ++i) {
    calls.push_back(start_put(std::to_string(i), Deadline::never(), i % io.size()));
  }

  std::set<std::string> acknowledged;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    auto outcome = calls[i].result();
    if (outcome) acknowledged.insert(std::to_string(i));
    EXPECT_THAT(error_of(outcome), AnyOf(std::nullopt, Optional(Errc::unavailable)));
  }

  reopen();
  for (const std::string& key : acknowledged) EXPECT_TRUE(client->get(key)) << key;
}

}  // namespace
}  // namespace sharedlock::test
