#include "store/etcd/witness/witness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>

namespace sharedlock {
namespace {

using Verdict = EtcdWitness::Verdict;
using std::chrono::seconds;

constexpr BootTime kNow{seconds(1000)};

EtcdWitness::Known known_at(std::int64_t floor, seconds promised = seconds(10)) {
  EtcdWitness::Known known;
  known.floor = Revision{floor};
  known.highest = Revision{floor};
  known.generation = 5;
  known.others["other"] = Revision{floor};
  known.promised_end = kNow + promised;
  return known;
}
EtcdWitness::Found found_at(std::int64_t own) {
  EtcdWitness::Found found;
  found.own = Revision{own};
  found.as_of = Revision{200};
  found.generation = 5;
  return found;
}
Verdict judge(const EtcdWitness::Known& known, const EtcdWitness::Found& found) {
  return EtcdWitness::judge(known, found, kNow).verdict;
}

TEST(EtcdWitnessTest, SafetyR32_OnlyAnOlderWitnessIsEvidence) {
  EXPECT_EQ(judge(known_at(100), found_at(100)), Verdict::fine);
  EXPECT_EQ(judge(known_at(100), found_at(101)), Verdict::fine);
  EXPECT_EQ(judge(known_at(100), found_at(99)), Verdict::lost);
  EXPECT_EQ(judge(known_at(100), found_at(0)), Verdict::lost);
  EXPECT_EQ(judge(known_at(0), found_at(0)), Verdict::fine) << "it was never put";
}

TEST(EtcdWitnessTest, SafetyR32_AnotherServersIsEvidenceWhenLowerNotWhenAbsent) {
  auto found = found_at(100);
  found.others["other"] = Revision{99};
  EXPECT_EQ(judge(known_at(100), found), Verdict::lost);
  found.others["other"] = Revision{100};
  EXPECT_EQ(judge(known_at(100), found), Verdict::fine);
  found.others.clear();
  EXPECT_EQ(judge(known_at(100), found), Verdict::fine);
}

TEST(EtcdWitnessTest, SafetyR32_AnEtcdThatIsBackBeforeWhatItAnsweredIsEvidence) {
  auto known = known_at(100);
  known.highest = Revision{201};
  EXPECT_EQ(judge(known, found_at(100)), Verdict::lost);
  known.highest = Revision{200};
  EXPECT_EQ(judge(known, found_at(100)), Verdict::fine);
}

TEST(EtcdWitnessTest, SafetyR32_ALossEndsWithThePromisesOrByAnOperatorsWord) {
  EXPECT_EQ(judge(known_at(100, seconds(0)), found_at(99)), Verdict::over);
  auto accepted = found_at(99);
  accepted.generation = 6;
  EXPECT_EQ(judge(known_at(100), accepted), Verdict::accepted);
  auto marked = found_at(100);
  marked.mark = "why";
  EXPECT_EQ(judge(known_at(100), marked), Verdict::marked);
  marked.own = Revision{99};
  EXPECT_EQ(judge(known_at(100), marked), Verdict::lost) << "it may have to make the mark last longer";
}

TEST(EtcdWitnessTest, TheValueSaysWhatWasPromised) {
  EtcdWitness witness("locks/", seconds(86400));
  witness.promised(kNow + seconds(300));
  EXPECT_EQ(witness.value(kNow + seconds(100), kNow + seconds(105)), "promised=200 prefix=locks/");
  EXPECT_EQ(witness.value(kNow, kNow + seconds(500), true), "promised=500 ended prefix=locks/");
  for (const WitnessValue& value : {WitnessValue{seconds(0), false, "a b"}, WitnessValue{seconds(7), true, ""}}) {
    EXPECT_EQ(parse_witness_value(to_text(value)), value);
  }
  for (const char* bad : {"", "promised=", "promised=-1 prefix=a", "promised=1"})
    EXPECT_FALSE(parse_witness_value(bad));
}

// Otherwise the value that is written last would tell of too little.
TEST(EtcdWitnessTest, SafetyR32_ConcurrentValuesTellOfAllPromises) {
  EtcdWitness witness("locks/", seconds(86400));
  EXPECT_EQ(witness.value(kNow, kNow + seconds(300)), "promised=300 prefix=locks/");
  EXPECT_EQ(witness.value(kNow, kNow + seconds(5)), "promised=300 prefix=locks/");
  EXPECT_EQ(witness.promised_end(), BootTime()) << "nothing of it has come about yet";
}

TEST(EtcdWitnessTest, SafetyR32_EveryPutWithAnEndIsAPromise) {
  auto until = [](Lifetime lifetime) {
    Transaction transaction;
    transaction.changes.emplace_back(Put{"a", "", SessionLease{}});
    transaction.changes.emplace_back(Put{"b", "", std::move(lifetime)});
    return promise_of(transaction).until(kNow);
  };
  EXPECT_EQ(until(OwnLease{.ttl = seconds(9), .id = {}}), kNow + seconds(9));
  EXPECT_EQ(until(PooledLease{seconds(8)}), kNow + seconds(8));
  EXPECT_EQ(until(PooledUntil{kNow + seconds(7)}), kNow + seconds(7));
  EXPECT_EQ(until(KeepLease{LeaseId{1}, kNow + seconds(6)}), kNow + seconds(6));
  EXPECT_EQ(until(SessionLease{}), std::nullopt);
}

// Otherwise each of two servers would prolong the other's promise by the second that is rounded up, for ever.
TEST(EtcdWitnessTest, TheValueDoesNotTellWhatOthersPromised) {
  EtcdWitness witness("locks/", seconds(86400));
  witness.saw("other", "promised=300 prefix=locks/", Revision{1}, kNow);
  EXPECT_EQ(witness.value(kNow), "promised=0 prefix=locks/");
  EXPECT_EQ(witness.promised_end(), kNow + seconds(300));
}

TEST(EtcdWitnessTest, TheValueTellsOfRenewalsThatPutNothing) {
  EtcdWitness witness("locks/", seconds(86400));
  witness.promised_beside(kNow, seconds(60));
  EXPECT_EQ(witness.promised_end(), kNow + seconds(60));
  EXPECT_TRUE(witness.is_due(kNow, BootTime(), kNow));
  EXPECT_EQ(witness.value(kNow), "promised=120 prefix=locks/") << "it may be renewed again";
  EXPECT_EQ(witness.told_beside(kNow), kNow + seconds(120));
  witness.promised_beside(kNow + seconds(60), seconds(60));
  EXPECT_FALSE(witness.is_due(kNow, witness.told_beside(kNow), kNow));
  witness.promised_beside(kNow, seconds(86400));
  EXPECT_EQ(witness.value(kNow), "promised=86400 prefix=locks/") << "it grants for no longer";
  witness.promised_beside(kNow, seconds(90000));
  EXPECT_EQ(witness.value(kNow), "promised=90000 prefix=locks/") << "but renews what another one granted";
  EXPECT_FALSE(witness.is_due(kNow, witness.told_beside(kNow), kNow));
}

// What was written after the last put of the witness could be forgotten unnoticed.
TEST(EtcdWitnessTest, SafetyR32_AnIdleServerPutsItEachMinuteWhileAnythingIsPromised) {
  EtcdWitness own("locks/", seconds(86400));
  EXPECT_FALSE(own.is_due(kNow, BootTime(), kNow + seconds(3599))) << "nothing that can be forgotten is promised";
  EXPECT_TRUE(own.is_due(kNow, BootTime(), kNow + seconds(3600))) << "else others would take it for a stale one";
  own.promised(kNow + seconds(300));
  EXPECT_FALSE(own.is_due(kNow, BootTime(), kNow + seconds(59)));
  EXPECT_TRUE(own.is_due(kNow, BootTime(), kNow + seconds(60)));
  EXPECT_FALSE(own.is_due(kNow + seconds(60), BootTime(), kNow + seconds(119)));
  EXPECT_FALSE(own.is_due(kNow + seconds(240), BootTime(), kNow + seconds(300))) << "it is over";
  EtcdWitness others("locks/", seconds(86400));
  others.saw("a", "promised=300 prefix=locks/", Revision{1}, kNow);
  EXPECT_TRUE(others.is_due(kNow, BootTime(), kNow + seconds(60))) << "who promised it may be gone when it is missed";
}

TEST(EtcdWitnessTest, SafetyR32_AStartTakesTheLongestPromiseOfAll) {
  EtcdWitness witness("locks/", seconds(86400));
  EXPECT_FALSE(witness.saw("a", "promised=300 prefix=locks/", Revision{1}, kNow));
  EXPECT_FALSE(witness.saw("b", "promised=20 ended prefix=locks/", Revision{2}, kNow));
  EXPECT_EQ(witness.promised_end(), kNow + seconds(300));
  EXPECT_TRUE(witness.saw("c", "promised=999999999 prefix=other/", Revision{3}, kNow));
  EXPECT_FALSE(witness.saw("d", "promised=1 prefix=other/", Revision{4}, kNow)) << "it is said once";
  EXPECT_EQ(witness.promised_end(), kNow + seconds(999999999)) << "its settings allow for more than ours";
  EXPECT_FALSE(witness.saw("e", "promised=9000000000000 prefix=locks/", Revision{5}, kNow));
  EXPECT_EQ(witness.promised_end(), kNow + kLongestPromise) << "no lease lives longer";
}

TEST(EtcdWitnessTest, SafetyR32_AWitnessUnchangedForTwoDaysIsStale) {
  EtcdWitness witness("locks/", seconds(86400));
  witness.saw("a", "promised=0 prefix=locks/", Revision{1}, kNow);
  EXPECT_TRUE(witness.stale(kNow + std::chrono::hours(47)).empty());
  EXPECT_EQ(witness.stale(kNow + std::chrono::hours(48)).size(), 1u);
  witness.saw("a", "promised=0 prefix=locks/", Revision{2}, kNow + std::chrono::hours(47));
  EXPECT_TRUE(witness.stale(kNow + std::chrono::hours(48)).empty());
}

TEST(EtcdWitnessTest, SafetyR32_FewWitnessesOfServersThatAreGoneStay) {
  const std::chrono::hours hour(1);
  EtcdWitness witness("locks/", seconds(86400));
  witness.saw("ended", "promised=300 ended prefix=locks/", Revision{1}, kNow);
  witness.saw("ended soon", "promised=0 ended prefix=locks/", Revision{1}, kNow);
  EXPECT_TRUE(witness.stale(kNow + seconds(59)).empty()) << "what it said last may be on its way once more";
  EXPECT_EQ(witness.stale(kNow + seconds(60)).count("ended soon"), 1u);
  EXPECT_EQ(witness.stale(kNow + seconds(299)).count("ended"), 0u) << "what it promised may last";
  EXPECT_EQ(witness.stale(kNow + seconds(300)).count("ended"), 1u);
  for (int i = 0; i < 40; ++i) witness.saw(std::to_string(i), "promised=60 prefix=locks/", Revision{2}, kNow);
  witness.saw("long", "promised=86400 prefix=locks/", Revision{2}, kNow);
  EXPECT_EQ(witness.stale(kNow + 3 * hour - seconds(1)).size(), 2u) << "a server that lives puts its own in that time";
  EXPECT_EQ(witness.stale(kNow + 3 * hour).size(), 42u);
  EXPECT_EQ(witness.stale(kNow + 47 * hour).count("long"), 0u) << "for twice as long as it told of";
  EXPECT_EQ(witness.stale(kNow + 48 * hour).count("long"), 1u);
}

// An etcd with a witness of each of two servers; what they wrote last stands there as a number.
struct SmallEtcd {
  struct Written {
    Revision at = kAbsent;
    int what = 0;
  };
  std::int64_t revision = 1;
  std::map<std::string, Written> witnesses;
};

struct SmallServer {
  EtcdWitness witness{"locks/", seconds(86400)};
  Revision highest = kAbsent;
  int confirmed = 0;
  std::map<std::string, int> heard;

  Verdict looks(const SmallEtcd& etcd) const {
    EtcdWitness::Found found;
    found.as_of = Revision{etcd.revision};
    for (const auto& [key, written] : etcd.witnesses) {
      (key == witness.key() ? found.own : found.others[key]) = written.at;
    }
    return EtcdWitness::judge(witness.known_of_all(highest), found, kNow).verdict;
  }
  // What EtcdWrites does with a batch.
  bool writes(SmallEtcd& etcd) {
    SmallEtcd::Written& own = etcd.witnesses[witness.key()];
    if (own.at < witness.floor()) return false;
    own = {Revision{++etcd.revision}, ++confirmed};
    witness.confirmed(own.at);
    highest = own.at;
    witness.promised(kNow + seconds(10));
    return true;
  }
  void hears(const SmallEtcd& etcd) {
    for (const auto& [key, written] : etcd.witnesses) {
      witness.saw(key, "promised=9 prefix=locks/", written.at, kNow);
      if (key != witness.key()) heard[key] = written.what;
    }
  }
  // Whether etcd lacks what it was told is there.
  bool is_forgotten_by(const SmallEtcd& etcd) const {
    auto own = etcd.witnesses.find(witness.key());
    if ((own == etcd.witnesses.end() ? 0 : own->second.what) < confirmed) return true;
    return std::ranges::any_of(etcd.witnesses, [this](const auto& each) {
      auto before = heard.find(each.first);
      return before != heard.end() && each.second.what < before->second;
    });
  }
};

// With any order of writes, answers, snapshots, restores and later writes: an etcd that lacks something is never taken
// for a sound one, and a sound one never for one that lacks something.
TEST(EtcdWitnessTest, SafetyR32_EveryLossIsNoticedAndNothingElse) {
  int forgotten = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 generator(seed);
    auto one_of = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(generator); };
    SmallEtcd etcd;
    SmallEtcd saved;
    std::array<SmallServer, 2> servers;
    for (int step = 0; step < 20; ++step) {
      SmallServer& server = one_of(2) == 0 ? servers[0] : servers[1];
      if (one_of(2) == 0) {
        EXPECT_TRUE(server.writes(etcd)) << seed;
      }
      if (one_of(3) == 0) server.hears(etcd);
      if (one_of(4) == 0) saved = etcd;
      if (one_of(4) == 0) etcd.revision += one_of(4);
      for (const SmallServer& each : servers) EXPECT_EQ(each.looks(etcd), Verdict::fine) << seed;
    }
    etcd = one_of(4) == 0 ? SmallEtcd{} : saved;
    etcd.revision += one_of(100);
    for (SmallServer& each : servers) {
      if (!each.is_forgotten_by(etcd)) continue;
      ++forgotten;
      EXPECT_NE(each.looks(etcd), Verdict::fine) << seed;
    }
    // The server's own witness alone stops its writes, without a read.
    for (SmallServer& each : servers) {
      each.heard.clear();
      if (each.is_forgotten_by(etcd)) {
        EXPECT_FALSE(each.writes(etcd)) << seed;
      }
    }
  }
  EXPECT_GT(forgotten, 1000);
}

}  // namespace
}  // namespace sharedlock
