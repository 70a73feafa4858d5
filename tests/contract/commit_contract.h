#pragma once

#include "contract/store_fixture.h"

// commit(), get() and settled(): expectations, conflicts, revisions.
namespace sharedlock::test {

template <class Backend>
class StoreCommit : public StoreContract<Backend> {};
TYPED_TEST_SUITE_P(StoreCommit);

TYPED_TEST_P(StoreCommit, CreatesAnAbsentKey) {
  auto key = this->key("a");

  Committed committed = this->client.create(key, "value");

  Found found = this->client.find(key);
  ASSERT_TRUE(found.entry);
  EXPECT_EQ(found.entry->value, "value");
  EXPECT_EQ(found.entry->created, committed.revision);
  EXPECT_EQ(found.entry->revision, committed.revision);
  EXPECT_GE(found.as_of, committed.revision);
}

TYPED_TEST_P(StoreCommit, AnswersNothingForAnAbsentKey) {
  Committed other = this->client.create(this->key("other"), "value");

  Found found = this->client.find(this->key("a"));

  EXPECT_FALSE(found.entry);
  EXPECT_GE(found.as_of, other.revision);
}

TYPED_TEST_P(StoreCommit, ValuesKeepEveryByte) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte.push_back(static_cast<char>(byte));

  this->client.put(this->key("bytes"), every_byte);
  this->client.put(this->key("empty"), "");

  EXPECT_EQ(this->client.get(this->key("bytes")).value().value, every_byte);
  EXPECT_EQ(this->client.get(this->key("empty")).value().value, "");
}

TYPED_TEST_P(StoreCommit, LoserOfACreationIsGivenTheWinner) {
  auto key = this->key("a");
  Committed first = this->client.create(key, "winner");

  Conflict conflict = this->client.lose(StoreClient::creation(key, "loser"));

  auto winner = this->client.get(key);
  EXPECT_EQ(winner.value().value, "winner");
  EXPECT_EQ(winner->revision, first.revision);
  EXPECT_THAT(conflict.current, ::testing::ElementsAre(winner));
  EXPECT_THAT(conflict.occupied, ::testing::IsEmpty());
  EXPECT_GE(conflict.as_of, first.revision);
}

TYPED_TEST_P(StoreCommit, ExpectationOfARevisionHoldsForTheEntrySeen) {
  auto key = this->key("a");
  Committed seen = this->client.create(key, "first");

  Committed second = this->client.apply(
      {.expect = {{key, seen.revision}}, .none_under = {}, .changes = {Put{key, "second", kLasting}}});

  EXPECT_EQ(this->client.get(key).value().value, "second");
  EXPECT_EQ(this->client.get(key)->revision, second.revision);
}

TYPED_TEST_P(StoreCommit, ExpectationOfAnOutdatedRevisionFails) {
  auto key = this->key("a");
  Committed outdated = this->client.create(key, "first");
  this->client.put(key, "second");
  auto present = this->client.get(key);

  Conflict put_lost = this->client.lose(
      {.expect = {{key, outdated.revision}}, .none_under = {}, .changes = {Put{key, "third", kLasting}}});
  Conflict erase_lost =
      this->client.lose({.expect = {{key, outdated.revision}}, .none_under = {}, .changes = {Erase{key}}});

  EXPECT_THAT(put_lost.current, ::testing::ElementsAre(present));
  EXPECT_THAT(erase_lost.current, ::testing::ElementsAre(present));
  EXPECT_EQ(this->client.get(key), present);
}

TYPED_TEST_P(StoreCommit, ExpectationOfARevisionFailsForAnAbsentKey) {
  auto key = this->key("a");
  Committed seen = this->client.create(key, "value");
  Committed erased = this->client.erase(key);

  Conflict conflict =
      this->client.lose({.expect = {{key, seen.revision}}, .none_under = {}, .changes = {Put{key, "again", kLasting}}});

  EXPECT_THAT(conflict.current, ::testing::ElementsAre(std::nullopt));
  EXPECT_GE(conflict.as_of, erased.revision);
  EXPECT_FALSE(this->client.get(key));
}

TYPED_TEST_P(StoreCommit, AllExpectationsMustHold) {
  auto a = this->key("a"), b = this->key("b"), c = this->key("c");
  Committed of_b = this->client.create(b, "b");
  Few<Mutation> changes{Put{a, "changed", kLasting}, Erase{b}, Put{c, "changed", kLasting}};
  auto before = this->client.get(b);

  Conflict conflict = this->client.lose(
      {.expect = {{a, kAbsent}, {b, of_b.revision}, {c, of_b.revision}}, .none_under = {}, .changes = changes});

  EXPECT_THAT(conflict.current, ::testing::ElementsAre(std::nullopt, before, std::nullopt));
  EXPECT_EQ(this->client.state_under(this->prefix), (std::map<std::string, Entry>{{b, *before}}));

  Committed committed = this->client.apply(
      {.expect = {{a, kAbsent}, {b, of_b.revision}, {c, kAbsent}}, .none_under = {}, .changes = changes});

  EXPECT_THAT(this->client.keys_under(this->prefix), ::testing::ElementsAre(a, c));
  EXPECT_GT(committed.revision, of_b.revision);
}

TYPED_TEST_P(StoreCommit, ExpectationMayGuardAnotherKey) {
  auto guard = this->key("guard"), changed = this->key("changed");
  Committed seen = this->client.create(guard, "here");
  Transaction guarded{
      .expect = {{guard, seen.revision}}, .none_under = {}, .changes = {Put{changed, "value", kLasting}}};

  this->client.apply(guarded);
  this->client.erase(guard);
  this->client.erase(changed);
  Conflict conflict = this->client.lose(guarded);

  EXPECT_THAT(conflict.current, ::testing::ElementsAre(std::nullopt));
  EXPECT_FALSE(this->client.get(changed));
}

TYPED_TEST_P(StoreCommit, TransactionWithoutChangesOnlyCompares) {
  auto key = this->key("a");
  Committed seen = this->client.create(key, "value");
  auto before = this->client.get(key);

  Committed holds = this->client.apply({.expect = {{key, seen.revision}}, .none_under = {}, .changes = {}});
  Conflict conflict = this->client.lose({.expect = {{key, kAbsent}}, .none_under = {}, .changes = {}});

  EXPECT_GE(holds.revision, seen.revision);
  EXPECT_THAT(conflict.current, ::testing::ElementsAre(before));
  EXPECT_EQ(this->client.get(key), before);
}

TYPED_TEST_P(StoreCommit, ChangesOfOneTransactionShareItsRevision) {
  auto a = this->key("a"), b = this->key("b"), c = this->key("c");
  Committed before = this->client.create(c, "c");

  Committed committed = this->client.apply(
      {.expect = {}, .none_under = {}, .changes = {Put{a, "a", kLasting}, Put{b, "b", kLasting}, Erase{c}}});

  EXPECT_GT(committed.revision, before.revision);
  EXPECT_EQ(this->client.get(a).value().revision, committed.revision);
  EXPECT_EQ(this->client.get(b).value().revision, committed.revision);
  EXPECT_FALSE(this->client.get(c));
}

TYPED_TEST_P(StoreCommit, RevisionsGrowFromCommitToCommit) {
  Revision last = this->client.now();
  for (int i = 0; i < 10; ++i) {
    Committed put = this->client.put(this->key("a"), std::to_string(i));
    EXPECT_GT(put.revision, last);
    Committed erased = this->client.erase(this->key("a"));
    EXPECT_GT(erased.revision, put.revision);
    last = erased.revision;
  }
  EXPECT_GE(this->client.now(), last);
}

TYPED_TEST_P(StoreCommit, OverwritingKeepsTheCreation) {
  auto key = this->key("a");
  Committed first = this->client.create(key, "first");
  Committed second = this->client.put(key, "second");

  EXPECT_EQ(this->client.get(key).value().created, first.revision);
  EXPECT_EQ(this->client.get(key)->revision, second.revision);
}

TYPED_TEST_P(StoreCommit, PutAfterAnEraseIsANewCreation) {
  auto key = this->key("a");
  this->client.create(key, "first");
  Committed erased = this->client.erase(key);
  Committed again = this->client.create(key, "again");

  EXPECT_GT(again.revision, erased.revision);
  EXPECT_EQ(this->client.get(key).value().created, again.revision);
}

TYPED_TEST_P(StoreCommit, ErasingAnAbsentKeyChangesNothing) {
  auto key = this->key("a");
  Committed before = this->client.create(this->key("other"), "value");
  auto other = this->client.get(this->key("other"));

  Committed erased = this->client.erase(key);

  EXPECT_GE(erased.revision, before.revision);
  EXPECT_FALSE(this->client.get(key));
  EXPECT_EQ(this->client.get(this->key("other")), other);
}

TYPED_TEST_P(StoreCommit, ErasingAnAbsentKeyLeavesTheOtherChanges) {
  auto a = this->key("a"), absent = this->key("absent");

  Committed committed =
      this->client.apply({.expect = {}, .none_under = {}, .changes = {Erase{absent}, Put{a, "a", kLasting}}});

  EXPECT_EQ(this->client.get(a).value().revision, committed.revision);
}

TYPED_TEST_P(StoreCommit, NoneUnderRefusesWhileAnEntryIsThere) {
  auto a = this->key("a"), place = this->key("line/1");
  Transaction newcomer = StoreClient::creation(a, "newcomer");
  newcomer.none_under = {this->key("empty/"), this->key("line/")};
  this->client.create(place, "waiter");

  Conflict conflict = this->client.lose(newcomer);
  EXPECT_THAT(conflict.current, ::testing::ElementsAre(std::nullopt));
  EXPECT_THAT(conflict.occupied, ::testing::ElementsAre(false, true));
  EXPECT_FALSE(this->client.get(a));

  this->client.erase(place);
  this->client.apply(newcomer);
  EXPECT_EQ(this->client.get(a).value().value, "newcomer");
}

TYPED_TEST_P(StoreCommit, NoneUnderIsReportedWhenAnExpectationFails) {
  auto a = this->key("a");
  this->client.create(a, "winner");
  this->client.create(this->key("line/1"), "waiter");
  Transaction loser = StoreClient::creation(a, "loser");
  loser.none_under = {this->key("line/"), this->key("empty/")};

  Conflict conflict = this->client.lose(loser);

  EXPECT_THAT(conflict.current, ::testing::ElementsAre(this->client.get(a)));
  EXPECT_THAT(conflict.occupied, ::testing::ElementsAre(true, false));
}

TYPED_TEST_P(StoreCommit, NoneUnderIgnoresNeighboursOfThePrefix) {
  this->client.create(this->key("line"), "the prefix without its slash");
  this->client.create(this->key("line2/1"), "another line");
  this->client.create(this->key("lin"), "shorter");
  this->client.create(this->key("line0"), "right behind: 0 follows the slash");
  Transaction newcomer = StoreClient::creation(this->key("a"), "newcomer");
  newcomer.none_under = {this->key("line/")};

  this->client.apply(newcomer);

  EXPECT_TRUE(this->client.get(this->key("a")));
}

TYPED_TEST_P(StoreCommit, NoneUnderLooksAtTheStateBeforeTheTransaction) {
  auto first = this->key("line/1"), second = this->key("line/2");
  Transaction join = StoreClient::creation(first, "first in line");
  join.none_under = {this->key("line/")};
  this->client.apply(join);

  Conflict conflict = this->client.lose(
      {.expect = {}, .none_under = {this->key("line/")}, .changes = {Erase{first}, Put{second, "instead", kLasting}}});

  EXPECT_THAT(conflict.occupied, ::testing::ElementsAre(true));
  EXPECT_THAT(this->client.keys_under(this->prefix), ::testing::ElementsAre(first));
}

TYPED_TEST_P(StoreCommit, AReadRevisionCanBeSettled) {
  Committed committed = this->client.create(this->key("a"), "value");
  Conflict conflict = this->client.lose(StoreClient::creation(this->key("a"), "loser"));

  EXPECT_TRUE(this->client.settled(committed.revision));
  EXPECT_TRUE(this->client.settled(conflict.as_of));
  EXPECT_TRUE(this->client.settled(this->client.find(this->key("b")).as_of));
}

REGISTER_TYPED_TEST_SUITE_P(StoreCommit, CreatesAnAbsentKey, AnswersNothingForAnAbsentKey, ValuesKeepEveryByte,
                            LoserOfACreationIsGivenTheWinner, ExpectationOfARevisionHoldsForTheEntrySeen,
                            ExpectationOfAnOutdatedRevisionFails, ExpectationOfARevisionFailsForAnAbsentKey,
                            AllExpectationsMustHold, ExpectationMayGuardAnotherKey,
                            TransactionWithoutChangesOnlyCompares, ChangesOfOneTransactionShareItsRevision,
                            RevisionsGrowFromCommitToCommit, OverwritingKeepsTheCreation, PutAfterAnEraseIsANewCreation,
                            ErasingAnAbsentKeyChangesNothing, ErasingAnAbsentKeyLeavesTheOtherChanges,
                            NoneUnderRefusesWhileAnEntryIsThere, NoneUnderIsReportedWhenAnExpectationFails,
                            NoneUnderIgnoresNeighboursOfThePrefix, NoneUnderLooksAtTheStateBeforeTheTransaction,
                            AReadRevisionCanBeSettled);

// Transactions that make no sense: refused with invalid_argument, and nothing is changed.
template <class Backend>
class StoreInvalid : public StoreContract<Backend> {
 protected:
  // What became of a transaction that also puts a key which would show a half-done change.
  std::optional<Errc> refusal_of(Few<Expect> expect, Few<Mutation> changes) {
    changes.insert(changes.begin(), Put{this->key("witness"), "", kLasting});
    auto error =
        error_of(this->client.commit({.expect = std::move(expect), .none_under = {}, .changes = std::move(changes)}));
    EXPECT_THAT(this->client.keys_under(this->prefix), ::testing::IsEmpty());
    return error;
  }
};
TYPED_TEST_SUITE_P(StoreInvalid);

TYPED_TEST_P(StoreInvalid, EmptyKeys) {
  EXPECT_EQ(this->refusal_of({}, {Put{"", "value", kLasting}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Erase{""}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({{"", kAbsent}}, {}), Errc::invalid_argument);
}

TYPED_TEST_P(StoreInvalid, OneKeyChangedTwice) {
  auto key = this->key("a");
  EXPECT_EQ(this->refusal_of({}, {Put{key, "1", kLasting}, Put{key, "2", kLasting}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Put{key, "1", kLasting}, Erase{key}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Erase{key}, Put{key, "1", kLasting}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Erase{key}, Erase{key}}), Errc::invalid_argument);
}

TYPED_TEST_P(StoreInvalid, TwoOwnLeases) {
  OwnLease own{.ttl = Ttl{5}, .id = std::nullopt};
  EXPECT_EQ(this->refusal_of({}, {Put{this->key("a"), "", own}, Put{this->key("b"), "", own}}), Errc::invalid_argument);
}

TYPED_TEST_P(StoreInvalid, LeaseIdsThatAreNotPositive) {
  OwnLease zero{.ttl = Ttl{5}, .id = LeaseId{0}}, negative{.ttl = Ttl{5}, .id = LeaseId{-7}};
  EXPECT_EQ(this->refusal_of({}, {Put{this->key("a"), "", zero}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Put{this->key("a"), "", negative}}), Errc::invalid_argument);
}

TYPED_TEST_P(StoreInvalid, TtlsBelowOneSecond) {
  OwnLease own{.ttl = Ttl{0}, .id = std::nullopt};
  EXPECT_EQ(this->refusal_of({}, {Put{this->key("a"), "", own}}), Errc::invalid_argument);
  EXPECT_EQ(this->refusal_of({}, {Put{this->key("a"), "", PooledLease{Ttl{-1}}}}), Errc::invalid_argument);
}

REGISTER_TYPED_TEST_SUITE_P(StoreInvalid, EmptyKeys, OneKeyChangedTwice, TwoOwnLeases, LeaseIdsThatAreNotPositive,
                            TtlsBelowOneSecond);

}  // namespace sharedlock::test
