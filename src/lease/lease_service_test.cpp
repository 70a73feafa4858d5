#include "lease/lease_service.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "store/memory/memory_store.h"
#include "support/eventually.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using test::FaultStore;
using test::run_task;
using Answer = Result<LeaseService::Answer>;

class LeaseServiceTest : public testing::Test {
 protected:
  LeaseServiceTest() : store_(make_memory_store(clock_)), faults_(*store_), leases_({}, faults_, clock_, log_) {}

  Answer grant(std::string key, Ttl ttl = Ttl{10}) {
    return run_task(leases_.grant({std::move(key), "value", ttl, clock_.boot_now()}));
  }
  Result<void> release(LeaseId id) { return run_task(leases_.release(id, clock_.boot_now())); }
  Result<Ttl> keep_alive(LeaseId id) { return run_task(leases_.keep_alive(id, clock_.boot_now())); }
  std::optional<Entry> stored(const std::string& key) {
    return run_task(store_->get("/shared-lock/" + key, Deadline::never()))->entry;
  }
  void time_passes_after_the_next_commit(std::chrono::milliseconds span) {
    faults_.after_commit = [this, span] {
      faults_.after_commit = [] {};
      clock_.advance(span);
    };
  }

  ManualClock clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_;
  FaultStore faults_;
  IoThreads threads_{1};
  LeaseService leases_;
};

LeaseGrant grant_of(const Answer& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer && std::holds_alternative<LeaseGrant>(*answer)) << "refused";
  return std::get<LeaseGrant>(answer.value());
}

bool is_refused(const Answer& answer) {
  return answer && std::holds_alternative<LeaseRefused>(*answer);
}

// As the refusal shows it.
std::optional<LeaseId> holder_by(const Answer& refusal) {
  EXPECT_TRUE(is_refused(refusal));
  return is_refused(refusal) ? std::get<LeaseRefused>(*refusal).holder : std::nullopt;
}

TEST_F(LeaseServiceTest, GrantStandsInTheStoreAsTheSeedLaysItOut) {
  LeaseGrant grant = grant_of(this->grant("key", Ttl{60}));
  EXPECT_EQ(grant.ttl, Ttl{60});
  EXPECT_GT(grant.id, LeaseId{0});
  auto entry = stored("key");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->value, "value");
  EXPECT_EQ(entry->lease, grant.id);
  EXPECT_EQ(number_of(grant.token), number_of(entry->created));
}

TEST_F(LeaseServiceTest, HeldKeyIsRefusedUntilItsLeaseEnds) {
  LeaseGrant first = grant_of(grant("key"));
  EXPECT_TRUE(is_refused(grant("key")));
  clock_.advance(seconds(9));
  EXPECT_TRUE(is_refused(grant("key")));
  clock_.advance(seconds(2));
  LeaseGrant second = grant_of(grant("key"));
  EXPECT_NE(second.id, first.id);
  EXPECT_GT(second.token, first.token);
}

TEST_F(LeaseServiceTest, SafetyR12_ATryThatIsRefusedAgainIsALookThatDoesNotWaitForTheDisk) {
  LeaseGrant held = grant_of(grant("key"));
  EXPECT_EQ(holder_by(grant("key")), held.id);
  EXPECT_EQ(faults_.commits(), 2);
  EXPECT_EQ(faults_.reads(), 0);
  EXPECT_EQ(holder_by(grant("key")), held.id);
  EXPECT_EQ(holder_by(grant("key")), held.id);
  EXPECT_EQ(faults_.commits(), 2);
  EXPECT_EQ(faults_.reads(), 2);
  EXPECT_EQ(faults_.settled_calls(), 0);
}

TEST_F(LeaseServiceTest, AGrantOfAKeyThatRefusedNobodySparesTheLook) {
  for (int i = 0; i < 3; ++i) {
    LeaseGrant held = grant_of(grant("key"));
    ASSERT_TRUE(release(held.id));
  }
  EXPECT_EQ(faults_.reads(), 0);
  EXPECT_EQ(faults_.commits(), 3);
}

TEST_F(LeaseServiceTest, AKeyThatSeemsHeldAndIsFreeCostsOneLookAndIsGranted) {
  LeaseGrant held = grant_of(grant("key"));
  EXPECT_TRUE(is_refused(grant("key")));
  ASSERT_TRUE(release(held.id));
  LeaseGrant next = grant_of(grant("key"));
  EXPECT_GT(next.token, held.token);
  EXPECT_EQ(faults_.reads(), 1);
  EXPECT_EQ(faults_.commits(), 3);
  ASSERT_TRUE(release(next.id));
  grant_of(grant("key"));
  EXPECT_EQ(faults_.reads(), 1) << "it was found free";
}

TEST_F(LeaseServiceTest, AKeyThatIsTakenAfterTheLookIsRefusedByTheCommit) {
  LeaseGrant held = grant_of(grant("key"));
  EXPECT_TRUE(is_refused(grant("key")));
  ASSERT_TRUE(release(held.id));
  faults_.before_commit = [this] {
    faults_.before_commit = [] {};
    Transaction transaction;
    transaction.changes.emplace_back(Put{"/shared-lock/key", "other", OwnLease{Ttl{10}, LeaseId{5}}});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  };
  EXPECT_EQ(holder_by(grant("key")), LeaseId{5});
  EXPECT_EQ(stored("key")->value, "other");
}

TEST_F(LeaseServiceTest, ALookWithoutAnAnswerIsAnErrorAndNothingIsTried) {
  LeaseGrant held = grant_of(grant("key"));
  EXPECT_TRUE(is_refused(grant("key")));
  ASSERT_TRUE(release(held.id));
  faults_.fail_reads(true);
  Answer answer = grant("key");
  ASSERT_FALSE(answer);
  EXPECT_TRUE(outcome_unknown(answer.error().code));
  EXPECT_EQ(faults_.commits(), 2);
  EXPECT_FALSE(stored("key"));
  faults_.fail_reads(false);
  grant_of(grant("key"));
}

// Such a store looks by itself.
TEST_F(LeaseServiceTest, OnAStoreOfManyServersEveryTryIsACommit) {
  faults_.others_write();
  grant_of(grant("key"));
  EXPECT_TRUE(is_refused(grant("key")));
  EXPECT_TRUE(is_refused(grant("key")));
  EXPECT_EQ(faults_.commits(), 3);
  EXPECT_EQ(faults_.reads(), 0);
}

TEST_F(LeaseServiceTest, KeepAliveGivesTheFullTtlAgain) {
  LeaseGrant grant = grant_of(this->grant("key"));
  for (int beat = 0; beat < 5; ++beat) {
    clock_.advance(seconds(8));
    auto ttl = keep_alive(grant.id);
    ASSERT_TRUE(ttl) << ttl.error().message;
    EXPECT_EQ(*ttl, Ttl{10});
  }
  EXPECT_TRUE(is_refused(this->grant("key")));
  clock_.advance(seconds(11));
  auto lost = keep_alive(grant.id);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::lease_not_found);
}

TEST_F(LeaseServiceTest, KeepAliveOfAnUnknownIdIsLost) {
  for (std::int64_t id : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{12345}}) {
    auto ttl = keep_alive(LeaseId{id});
    ASSERT_FALSE(ttl);
    EXPECT_EQ(ttl.error().code, Errc::lease_not_found);
  }
}

// R4: the id of another part's lease is not honoured, and its entries are left alone.
TEST_F(LeaseServiceTest, SafetyR04_OnlyLeasesOfTheLeaseApiAreKeptAlive) {
  Transaction transaction;
  transaction.changes.emplace_back(Put{"elsewhere", "", OwnLease{Ttl{10}, LeaseId{77}}});
  ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  clock_.advance(seconds(5));
  EXPECT_FALSE(keep_alive(LeaseId{77}));
  auto lease = run_task(store_->lease(LeaseId{77}, Deadline::never()));
  ASSERT_TRUE(lease && *lease);
  EXPECT_LE((*lease)->left, Ttl{6}) << "not renewed";
}

TEST_F(LeaseServiceTest, SafetyR04_AKeyDeletedByHandLosesItsLease) {
  LeaseGrant grant = grant_of(this->grant("key"));
  Transaction transaction;
  transaction.changes.emplace_back(Erase{"/shared-lock/key"});
  ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  auto lost = keep_alive(grant.id);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::lease_not_found);
}

TEST_F(LeaseServiceTest, GrantWhoseAnswerWasLostIsSeenToHaveHappened) {
  faults_.next_commit(FaultStore::Fault::answer_lost);
  LeaseGrant grant = grant_of(this->grant("key"));
  EXPECT_EQ(stored("key")->lease, grant.id);
  EXPECT_EQ(number_of(grant.token), number_of(stored("key")->created));
  EXPECT_TRUE(keep_alive(grant.id));
}

TEST_F(LeaseServiceTest, GrantWhoseRequestWasLostIsAnError) {
  faults_.next_commit(FaultStore::Fault::request_lost);
  Answer answer = grant("key");
  ASSERT_FALSE(answer);
  EXPECT_TRUE(outcome_unknown(answer.error().code));
  EXPECT_FALSE(stored("key"));
}

TEST_F(LeaseServiceTest, AGrantOfUnknownOutcomeOnAHeldKeyIsARefusal) {
  faults_.next_commit(FaultStore::Fault::request_lost);
  faults_.before_commit = [this] {
    faults_.before_commit = [] {};
    Transaction transaction;
    transaction.changes.emplace_back(Put{"/shared-lock/key", "other", OwnLease{Ttl{10}, LeaseId{5}}});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  };
  EXPECT_TRUE(is_refused(grant("key")));
  EXPECT_EQ(stored("key")->value, "other");
}

// The try may reach the store late, after the other lease has ended.
TEST_F(LeaseServiceTest, SafetyR06_ATryWithAChosenIdThatMayTakeTheKeyLaterIsNotRefused) {
  const GrantRequest slow{"key", "value", Ttl{10}, clock_.boot_now(), kSmallestChosenLeaseId};
  auto taken_by_another = [this] {
    faults_.before_commit = [] {};
    Transaction transaction;
    transaction.changes.emplace_back(Put{"/shared-lock/key", "other", OwnLease{Ttl{10}, LeaseId{5}}});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  };
  faults_.before_commit = taken_by_another;
  faults_.next_commit(FaultStore::Fault::request_lost);
  Answer answer = run_task(leases_.grant(slow));
  ASSERT_FALSE(answer);
  EXPECT_TRUE(outcome_unknown(answer.error().code));
  EXPECT_EQ(stored("key")->value, "other");

  EXPECT_TRUE(is_refused(run_task(leases_.grant(slow)))) << "another request, which did not get so far";
  faults_.next_commit(FaultStore::Fault::request_over);
  EXPECT_TRUE(is_refused(run_task(leases_.grant(slow)))) << "it was lost for good";
}

// R3: no client was told of the lease, so it is ended rather than left to block the key for its ttl.
TEST_F(LeaseServiceTest, SafetyR03_AGrantThatCouldNotBeResolvedIsEnded) {
  faults_.next_commit(FaultStore::Fault::answer_lost);
  faults_.fail_reads(true);
  EXPECT_FALSE(grant("key"));
  faults_.fail_reads(false);
  EXPECT_FALSE(stored("key"));
}

TEST_F(LeaseServiceTest, SafetyR07_ALateGrantIsEnded) {
  time_passes_after_the_next_commit(seconds(6));
  Answer answer = grant("key");
  ASSERT_FALSE(answer);
  EXPECT_TRUE(outcome_unknown(answer.error().code));
  EXPECT_FALSE(stored("key"));
}

TEST_F(LeaseServiceTest, SafetyR07_AGrantWithinHalfOfItsTtlStands) {
  time_passes_after_the_next_commit(seconds(5));
  EXPECT_EQ(grant_of(grant("key")).ttl, Ttl{10});
}

TEST_F(LeaseServiceTest, SafetyR07_HalfOfASecondIsNotRoundedDown) {
  time_passes_after_the_next_commit(std::chrono::milliseconds(499));
  grant_of(grant("key", Ttl{1}));
  time_passes_after_the_next_commit(std::chrono::milliseconds(501));
  EXPECT_FALSE(grant("other", Ttl{1}));
}

TEST_F(LeaseServiceTest, ReadyAsLongAsTheStoreAnswers) {
  EXPECT_TRUE(run_task(leases_.ready(seconds(1))));
  faults_.fail_reads(true);
  EXPECT_FALSE(run_task(leases_.ready(seconds(1))));
}

TEST_F(LeaseServiceTest, SafetyR29_ARefusalIsAnsweredFromTheCacheUntilTheKeyIsFree) {
  LeaseService cached({.cache_size = 10}, faults_, clock_, log_);
  auto ask = [&] { return run_task(cached.grant({"key", "value", Ttl{10}, clock_.boot_now()})); };
  grant_of(ask());
  ASSERT_TRUE(test::eventually([&] { return is_refused(ask()) && cached.cache_counts().hits > 0; }));
  int commits = faults_.commits();

  EXPECT_TRUE(is_refused(ask()));
  EXPECT_EQ(faults_.commits(), commits);

  clock_.advance(seconds(13));
  EXPECT_TRUE(test::eventually([&] { return !is_refused(ask()); }));
}

TEST_F(LeaseServiceTest, SafetyR03_AnUndeliveredGrantIsTakenBackAsSoonAsTheStoreAnswers) {
  LeaseGrant grant = grant_of(this->grant("key", Ttl{60}));
  BootTime begun = clock_.boot_now();
  for (int i = 0; i < 3; ++i) faults_.next_commit(FaultStore::Fault::request_lost);
  leases_.take_back(threads_.executor(0), "key", grant);
  EXPECT_TRUE(test::eventually([&] {
    clock_.advance(std::chrono::milliseconds(10));
    return !stored("key");
  }));
  EXPECT_LT(clock_.boot_now() - begun, seconds(30)) << "not by the end of its lease";
}

}  // namespace
}  // namespace sharedlock
