#include "store/embedded/embedded_store.h"

#include <thread>

#include "contract/store_contract.h"
#include "store/embedded/rocks_journal.h"
#include "support/embedded_fixture.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {

class EmbeddedInMemory {
 public:
  LeaseStore& store() { return *store_; }
  Clock& clock() { return clock_; }
  void pass(std::chrono::seconds span) { clock_.advance(span); }

 private:
  ManualClock clock_;
  std::unique_ptr<LeaseStore> store_ =
      make_embedded_store(std::make_unique<MemoryJournal>(std::make_shared<MemoryDisk>()), clock_, silent_log())
          .value();
};

class EmbeddedOnRocks {
 public:
  LeaseStore& store() { return *store_; }
  Clock& clock() { return clock_; }
  void pass(std::chrono::seconds span) { clock_.advance(span); }

 private:
  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<LeaseStore> store_ =
      make_embedded_store(open_rocks_journal(directory_.path()).value(), clock_, silent_log()).value();
};

SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(Embedded, EmbeddedInMemory);
SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(EmbeddedOnRocks, EmbeddedOnRocks);

namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EmbeddedStore : public EmbeddedFixture {
 protected:
  EmbeddedStore() { open(); }

  std::int64_t wall_microseconds() const {
    return std::chrono::floor<std::chrono::microseconds>(clock.wall_now().time_since_epoch()).count();
  }

  // Whether a disk with these batches is refused, and left as it is.
  bool refuses(std::vector<JournalBatch> batches) {
    close();
    disk = std::make_shared<MemoryDisk>();
    for (const JournalBatch& batch : batches) EXPECT_TRUE(disk->append(batch));
    auto opened = try_to_open();
    return !opened && opened.error().code == Errc::corrupt && disk->appends() == batches.size();
  }
};

TEST_F(EmbeddedStore, AcknowledgedChangesSurviveARestart) {
  client->put("a", "1");
  client->put("b", "2", OwnLease{Ttl{60}, LeaseId{7}});
  client->put("c", "3");
  client->put("c", "4");
  client->erase("a");
  auto before = client->state_under("");

  reopen();

  EXPECT_EQ(client->state_under(""), before);
  EXPECT_THAT(client->keys_of(LeaseId{7}), ElementsAre("b"));
}

TEST_F(EmbeddedStore, EndsStayEndedAfterARestart) {
  client->put("expired", "", PooledLease{Ttl{5}});
  Committed revoked = client->put("revoked", "", OwnLease{Ttl{60}, std::nullopt});
  client->put("erased", "");
  clock.advance(seconds(6));
  ASSERT_EQ(client->get("expired"), std::nullopt);
  client->revoke(revoked.lease, "").value();
  client->erase("erased");

  reopen();

  EXPECT_THAT(client->keys_under(""), IsEmpty());
  EXPECT_THAT(disk->replay().leases(), IsEmpty());
}

TEST_F(EmbeddedStore, SafetyR31_ACopyOfACleanEndGivesHigherTokensThanWhatFollowedIt) {
  clock.set_wall(clock.wall_now() + std::chrono::hours(1));
  reopen();
  client->put("a", "");
  close();
  std::size_t copied = disk->batches().size();
  clock.advance(std::chrono::milliseconds(100));
  open();
  Revision last = client->put("b", "").revision;
  close();

  disk->forget_after(copied);
  clock.advance(std::chrono::milliseconds(100));
  open();

  EXPECT_GT(client->put("b", "").revision, last);
}

// Microseconds of the year 2255; in JSON a number above 2^53 would come out as another one.
TEST_F(EmbeddedStore, SafetyR31_AClockThatIsCenturiesAheadIsRefused) {
  close();
  disk = std::make_shared<MemoryDisk>();
  clock.set_wall(WallTime(seconds(9'100'000'000)));
  auto opened = try_to_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
  EXPECT_EQ(disk->appends(), 0U);
}

TEST_F(EmbeddedStore, LeasesLiveForTheirFullTtlAfterARestart) {
  client->put("own", "", OwnLease{Ttl{60}, LeaseId{7}});
  client->put("pooled", "", PooledLease{Ttl{60}});
  clock.advance(seconds(50));

  reopen();

  EXPECT_EQ(client->lease(LeaseId{7})->left, Ttl{60});
  EXPECT_EQ(client->lease(client->get("pooled")->lease)->left, Ttl{60});
  clock.advance(seconds(59));
  EXPECT_THAT(client->keys_under(""), ElementsAre("own", "pooled"));
  clock.advance(seconds(3));
  EXPECT_THAT(client->keys_under(""), IsEmpty());
}

TEST_F(EmbeddedStore, KindsOfLeasesAreTheSameAfterARestart) {
  client->put("own", "", OwnLease{Ttl{60}, LeaseId{7}});
  client->put("pooled", "", PooledLease{Ttl{60}});

  reopen();

  LeaseId pooled = client->get("pooled")->lease;
  EXPECT_EQ(client->keep_alive(LeaseId{7}, "").value(), Ttl{60});
  EXPECT_EQ(error_of(client->keep_alive(pooled, "")), Errc::lease_not_found);
  EXPECT_EQ(error_of(client->revoke(pooled, "")), Errc::lease_not_found);
}

TEST_F(EmbeddedStore, AnOwnLeaseWithoutEntriesSurvivesARestartAndCanBeRevoked) {
  client->put("a", "", OwnLease{Ttl{60}, LeaseId{7}});
  client->erase("a");

  reopen();

  EXPECT_THAT(client->keys_of(LeaseId{7}), IsEmpty());
  client->revoke(LeaseId{7}, "").value();
  reopen();
  EXPECT_EQ(client->lease(LeaseId{7}), std::nullopt);
}

TEST_F(EmbeddedStore, AnOwnLeaseThatIsTakenOverKeepsItsNewTtlOverARestart) {
  client->put("a", "", OwnLease{Ttl{60}, LeaseId{7}});
  client->erase("a");
  client->put("b", "", OwnLease{Ttl{90}, LeaseId{7}});

  reopen();

  EXPECT_EQ(client->lease(LeaseId{7})->granted, Ttl{90});
}

TEST_F(EmbeddedStore, SessionEntriesAreNeverWrittenAndGoneAfterARestart) {
  client->put("durable", "");
  std::size_t appends = disk->appends();

  client->put("line/1", "", SessionLease());
  client->put("line/1", "again", SessionLease());
  client->put("line/2", "", SessionLease());
  client->erase("line/2");

  EXPECT_EQ(disk->appends(), appends);
  reopen();
  EXPECT_THAT(client->keys_under(""), ElementsAre("durable"));
}

TEST_F(EmbeddedStore, AnEntryThatBecomesVolatileIsGoneAfterARestart) {
  client->put("a", "durable");
  client->put("a", "volatile", SessionLease());
  EXPECT_EQ(client->get("a")->value, "volatile");

  reopen();

  EXPECT_EQ(client->get("a"), std::nullopt);
}

TEST_F(EmbeddedStore, AVolatileEntryThatBecomesDurableIsThereAfterARestart) {
  client->put("a", "volatile", SessionLease());
  client->put("a", "durable");
  auto before = client->get("a");

  reopen();

  EXPECT_EQ(client->get("a"), before);
}

TEST_F(EmbeddedStore, ALostAttemptToMakeAnEntryVolatileLeavesItOnDisk) {
  client->put("a", "durable");
  auto before = client->get("a");

  client->lose({.expect = {{"a", kAbsent}}, .none_under = {}, .changes = {Put{"a", "volatile", SessionLease()}}});
  client->put("b", "");  // writes whatever might have been left over

  reopen();
  EXPECT_EQ(client->get("a"), before);
}

TEST_F(EmbeddedStore, AnInvalidAttemptToMakeAnEntryVolatileLeavesItOnDisk) {
  client->put("a", "durable");
  auto before = client->get("a");

  auto refused =
      client->commit({.expect = {}, .none_under = {}, .changes = {Put{"a", "volatile", SessionLease()}, Erase{""}}});
  client->put("b", "");

  EXPECT_EQ(error_of(refused), Errc::invalid_argument);
  reopen();
  EXPECT_EQ(client->get("a"), before);
}

TEST_F(EmbeddedStore, SafetyR31_RevisionsBeginAtTheWallClocksMicroseconds) {
  EXPECT_EQ(number_of(client->put("a", "").revision), wall_microseconds() + 1);
}

TEST_F(EmbeddedStore, SafetyR31_RevisionsGrowOverRestartsEvenWhenTheWallClockGoesBack) {
  std::int64_t last = 0;
  for (int start = 0; start < 5; ++start) {
    for (int i = 0; i < 100; ++i) {
      std::int64_t next = number_of(client->put("a", "").revision);
      EXPECT_GT(next, last);
      last = next;
    }
    clock.set_wall(clock.wall_now() - std::chrono::hours(24 * 365));
    reopen();
    EXPECT_GT(number_of(client->now()), last);
  }
}

TEST_F(EmbeddedStore, SafetyR31_RevisionsFollowTheWallClockWhenItIsAhead) {
  clock.advance(std::chrono::hours(24));
  reopen();

  EXPECT_GE(number_of(client->now()), wall_microseconds());
}

TEST_F(EmbeddedStore, SafetyR31_ARevisionThatWasNeverSyncedIsNotGivenAgain) {
  client->put("a", "");
  std::size_t synced = disk->batches().size();
  Revision last = client->put("b", "").revision;
  close();

  disk->forget_after(synced);
  open();

  EXPECT_EQ(client->get("b"), std::nullopt);
  EXPECT_GT(client->put("c", "").revision, last);
}

TEST_F(EmbeddedStore, SafetyR31_ABlockOfRevisionsIsOnDiskBeforeItsFirstIsUsed) {
  revision_block = 1000;
  reopen();

  for (int i = 0; i < 2500; ++i) {
    Revision revision = client->put("a", "", i % 2 ? Lifetime(kLasting) : Lifetime(SessionLease())).revision;
    ASSERT_LE(revision, disk->replay().reserved());
  }
}

TEST_F(EmbeddedStore, SafetyR31_RevisionsOfVolatileEntriesAreNotGivenAgain) {
  revision_block = 1000;
  reopen();
  Revision last{};
  for (int i = 0; i < 2500; ++i) last = client->put("line", "", SessionLease()).revision;
  clock.set_wall(clock.wall_now() - std::chrono::hours(1));

  reopen();

  EXPECT_GT(client->now(), last);
}

// Of several pages, while keys of the pages that were taken already come to an end.
TEST_F(EmbeddedStore, AWatchThatBeginsAmongWritersIsToldAllOfIt) {
  constexpr int kKeys = 900;
  constexpr int kWriters = 2;
  auto key = [](int i) { return std::to_string(1000 + i); };
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < kKeys; ++i) client->put(key(i), "");
    std::vector<std::unique_ptr<WatchLog>> watches;
    {
      std::vector<std::jthread> writers;
      for (int writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
          for (int i = writer; i < kKeys - 10; i += kWriters) client->erase(key(i));
        });
      }
      for (int i = 0; i < 5; ++i) {
        watches.push_back(std::make_unique<WatchLog>(*store, ""));
        EXPECT_TRUE(watches.back()->has_begun());
      }
    }
    auto left = client->state_under("");
    for (const auto& watch : watches) {
      EXPECT_TRUE(watch->reaches(left)) << watch->state().size() << " entries, not " << left.size();
      EXPECT_THAT(watch->faults(), IsEmpty());
    }
  }
}

TEST_F(EmbeddedStore, AJournalWithInconsistentPartsIsRefused) {
  JournalLease lease{LeaseId{7}, true, Ttl{60}};
  auto entry = [](std::int64_t id, std::int64_t created, std::int64_t revision) {
    return KeyedEntry("a", {"", LeaseId{id}, Revision{created}, Revision{revision}});
  };
  Revision reserved{wall_microseconds() + 1000};
  std::int64_t beyond = number_of(reserved) + 1;

  EXPECT_FALSE(refuses({{.writes = {lease, entry(7, 1, 2)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {entry(7, 1, 2)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {lease, entry(8, 1, 2)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {lease, entry(7, 2, 1)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {lease, entry(7, 0, 1)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {lease, entry(7, 1, beyond)}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {JournalLease{LeaseId{0}, true, Ttl{60}}}, .reserved = reserved}}));
  EXPECT_TRUE(refuses({{.writes = {JournalLease{LeaseId{7}, true, Ttl{0}}}, .reserved = reserved}}));
}

TEST_F(EmbeddedStore, AStoreDoesNotOpenIfItsFirstWriteFails) {
  close();
  disk->fail_append(disk->appends(), MemoryDisk::Failure::lost);

  auto opened = try_to_open();

  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unavailable);
}

TEST_F(EmbeddedStore, ClosingWritesGatheredChanges) {
  for (int i = 0; i < 100; ++i) client->put(std::to_string(i), "", PooledLease{Ttl{5}});
  clock.advance(seconds(6));
  ASSERT_TRUE(eventually([&] { return client->keys_under("").empty(); }));

  close();

  EXPECT_THAT(disk->replay().entries(), IsEmpty());
}

}  // namespace
}  // namespace sharedlock::test
