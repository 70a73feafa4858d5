#pragma once

#include "contract/store_fixture.h"

// Lifetimes: the three kinds of leases, keep_alive(), revoke(), expiry.
namespace sharedlock::test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <class Backend>
class StoreLeases : public StoreContract<Backend> {
 protected:
  static constexpr OwnLease kOwn{.ttl = StoreLeases::kTtl, .id = std::nullopt};
  static constexpr PooledLease kPooled{StoreLeases::kTtl};
};
TYPED_TEST_SUITE_P(StoreLeases);

TYPED_TEST_P(StoreLeases, StorePicksTheIdOfAnOwnLease) {
  Committed a = this->client.create(this->key("a"), "", this->kOwn);
  Committed b = this->client.create(this->key("b"), "", this->kOwn);

  EXPECT_GT(a.lease, LeaseId{0});
  EXPECT_GT(b.lease, LeaseId{0});
  EXPECT_NE(a.lease, b.lease);
  EXPECT_GE(a.ttl, this->kTtl);
  EXPECT_THAT(this->client.keys_of(a.lease), ElementsAre(this->key("a")));
  EXPECT_THAT(this->client.keys_of(b.lease), ElementsAre(this->key("b")));
}

TYPED_TEST_P(StoreLeases, OwnLeaseTakesTheIdGiven) {
  LeaseId id = this->some_lease_id();

  Committed committed = this->client.create(this->key("a"), "", OwnLease{.ttl = this->kTtl, .id = id});

  EXPECT_EQ(committed.lease, id);
  EXPECT_GE(committed.ttl, this->kTtl);
  EXPECT_THAT(this->client.keys_of(id), ElementsAre(this->key("a")));
}

// If the entry shows none, the lease that it shares with others can't be used as its own.
TYPED_TEST_P(StoreLeases, SafetyR33_AnEntryShowsItsOwnLeaseOrNone) {
  Committed committed = this->client.create(this->key("a"), "", this->kOwn);
  Entry entry = this->client.get(this->key("a")).value();

  auto shown = shown_lease(entry);
  EXPECT_TRUE(!shown || shown == committed.lease);
  if (shown) return;
  EXPECT_EQ(error_of(this->client.keep_alive(entry.lease, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(entry.lease, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(entry.lease, "")), Errc::lease_not_found);
}

TYPED_TEST_P(StoreLeases, CommitAnswersTheOwnLeaseAmongOtherPuts) {
  Committed committed = this->client.apply(
      {.expect = {},
       .none_under = {},
       .changes = {Put{this->key("pooled"), "", this->kPooled}, Put{this->key("own"), "", this->kOwn},
                   Put{this->key("session"), "", SessionLease{}}}});

  LeaseId pooled = this->client.get(this->key("pooled")).value().lease;
  LeaseId session = this->client.get(this->key("session")).value().lease;
  EXPECT_THAT(this->client.keys_of(committed.lease), ElementsAre(this->key("own")));
  EXPECT_NE(committed.lease, pooled);
  EXPECT_NE(committed.lease, session);
  EXPECT_NE(pooled, session);
}

TYPED_TEST_P(StoreLeases, IdThatHoldsAnEntryIsRefused) {
  OwnLease taken{.ttl = this->kTtl, .id = this->some_lease_id()};
  Ttl granted = this->client.create(this->key("a"), "holder", taken).ttl;
  auto before = this->client.get(this->key("a"));
  OwnLease again{.ttl = Ttl{600}, .id = taken.id};

  auto refused = this->client.commit(
      {.expect = {},
       .none_under = {},
       .changes = {Put{this->key("b"), "intruder", again}, Put{this->key("c"), "with it", kLasting}}});
  auto same_key =
      this->client.commit({.expect = {}, .none_under = {}, .changes = {Put{this->key("a"), "intruder", again}}});

  EXPECT_EQ(error_of(refused), Errc::lease_in_use);
  EXPECT_EQ(error_of(same_key), Errc::lease_in_use);
  EXPECT_EQ(this->client.state_under(this->prefix), (std::map<std::string, Entry>{{this->key("a"), *before}}));
  EXPECT_EQ(this->client.lease(*taken.id).value().granted, granted);
}

TYPED_TEST_P(StoreLeases, IdOfAnEmptyLeaseIsTakenOverWithTheTtlAsked) {
  LeaseId id = this->some_lease_id();
  this->client.create(this->key("a"), "", OwnLease{.ttl = this->kTtl, .id = id});
  this->client.erase(this->key("a"));
  this->client.create(this->key("of the same age"), "", this->kOwn);

  Committed again = this->client.create(this->key("b"), "", OwnLease{.ttl = Ttl{600}, .id = id});

  EXPECT_EQ(again.lease, id);
  EXPECT_GE(again.ttl, Ttl{600});
  EXPECT_THAT(this->client.keys_of(id), ElementsAre(this->key("b")));
  this->backend.pass(this->kTtl + this->kSlack);
  ASSERT_TRUE(this->comes_to_an_end("of the same age"));
  EXPECT_TRUE(this->client.get(this->key("b")));
}

TYPED_TEST_P(StoreLeases, EntriesLiveForTheirTtlAndEnd) {
  Committed own = this->client.create(this->key("own"), "", this->kOwn);
  this->client.create(this->key("pooled"), "", this->kPooled);
  this->client.create(this->key("lasting"), "", kLasting);
  this->client.create(this->key("session"), "", SessionLease{});

  this->backend.pass(this->kTtl - Ttl{1});
  EXPECT_TRUE(this->client.get(this->key("own")));
  EXPECT_TRUE(this->client.get(this->key("pooled")));

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("own"));
  EXPECT_TRUE(this->comes_to_an_end("pooled"));
  EXPECT_TRUE(this->lease_comes_to_an_end(own.lease));
  EXPECT_THAT(this->client.keys_under(this->prefix), ElementsAre(this->key("lasting"), this->key("session")));
}

TYPED_TEST_P(StoreLeases, ExpiredEntryIsAbsentForACommit) {
  Committed first = this->client.create(this->key("a"), "first", this->kOwn);
  this->backend.pass(this->kTtl + this->kSlack);
  ASSERT_TRUE(this->comes_to_an_end("a"));

  Conflict conflict = this->client.lose(
      {.expect = {{this->key("a"), first.revision}}, .none_under = {}, .changes = {Erase{this->key("a")}}});
  Committed next = this->client.create(this->key("a"), "next", this->kOwn);

  EXPECT_THAT(conflict.current, ElementsAre(std::nullopt));
  EXPECT_GT(next.revision, first.revision);
  EXPECT_EQ(this->client.get(this->key("a")).value().created, next.revision);
}

TYPED_TEST_P(StoreLeases, KeepAliveBringsBackTheFullTtl) {
  Committed kept = this->client.create(this->key("a"), "value", this->kOwn);

  for (int i = 0; i < 3; ++i) {
    this->backend.pass(this->kTtl - Ttl{1});
    auto ttl = this->client.keep_alive(kept.lease, this->prefix);
    ASSERT_EQ(error_of(ttl), std::nullopt);
    EXPECT_EQ(*ttl, kept.ttl);
  }
  this->backend.pass(this->kTtl - Ttl{1});
  auto after = this->client.get(this->key("a"));
  ASSERT_TRUE(after);
  EXPECT_EQ(after->value, "value");
  EXPECT_EQ(after->created, kept.revision) << "and with it the token";

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a"));
}

TYPED_TEST_P(StoreLeases, KeepAliveUnderAnotherPrefixTouchesNothing) {
  LeaseId id = this->client.create(this->key("a"), "", this->kOwn).lease;
  this->backend.pass(this->kTtl - Ttl{1});

  EXPECT_EQ(error_of(this->client.keep_alive(id, this->key("b"))), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.keep_alive(id, this->key("a/"))), Errc::lease_not_found);

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a"));
}

TYPED_TEST_P(StoreLeases, KeepAliveOfAnUnknownLeaseFindsNothing) {
  EXPECT_EQ(error_of(this->client.keep_alive(this->some_lease_id(), "")), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(this->some_lease_id(), "")), Errc::lease_not_found);
}

TYPED_TEST_P(StoreLeases, EndedLeaseIsNotFound) {
  LeaseId id = this->client.create(this->key("a"), "", this->kOwn).lease;
  this->backend.pass(this->kTtl + this->kSlack);
  ASSERT_TRUE(this->lease_comes_to_an_end(id));

  EXPECT_EQ(error_of(this->client.keep_alive(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, "")), Errc::lease_not_found);
}

TYPED_TEST_P(StoreLeases, PooledLeaseCanNotBeKeptAliveOrRevoked) {
  this->client.create(this->key("a"), "", this->kPooled);
  LeaseId id = this->client.get(this->key("a")).value().lease;
  this->backend.pass(this->kTtl - Ttl{1});

  EXPECT_EQ(error_of(this->client.keep_alive(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, "")), Errc::lease_not_found);
  EXPECT_TRUE(this->client.get(this->key("a")));

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a"));
}

TYPED_TEST_P(StoreLeases, SessionLeaseCanNotBeKeptAliveOrRevoked) {
  this->client.create(this->key("a"), "", SessionLease{});
  LeaseId id = this->client.get(this->key("a")).value().lease;

  EXPECT_EQ(error_of(this->client.keep_alive(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(id, "")), Errc::lease_not_found);
  EXPECT_TRUE(this->client.get(this->key("a")));
}

TYPED_TEST_P(StoreLeases, RevokeErasesTheEntry) {
  Committed committed = this->client.create(this->key("a"), "", this->kOwn);
  auto other = this->client.create(this->key("b"), "", this->kOwn);

  EXPECT_EQ(error_of(this->client.revoke(committed.lease, this->prefix)), std::nullopt);

  Found found = this->client.find(this->key("a"));
  EXPECT_FALSE(found.entry);
  EXPECT_GT(found.as_of, other.revision);
  EXPECT_FALSE(this->client.lease(committed.lease));
  EXPECT_EQ(error_of(this->client.revoke(committed.lease, this->prefix)), Errc::lease_not_found);
  EXPECT_TRUE(this->client.get(this->key("b")));
}

TYPED_TEST_P(StoreLeases, RevokeUnderAnotherPrefixTouchesNothing) {
  LeaseId id = this->client.create(this->key("a"), "", this->kOwn).lease;

  EXPECT_EQ(error_of(this->client.revoke(id, this->key("b"))), Errc::lease_not_found);

  EXPECT_THAT(this->client.keys_of(id), ElementsAre(this->key("a")));
  EXPECT_TRUE(this->client.get(this->key("a")));
}

TYPED_TEST_P(StoreLeases, EmptyLeaseIsRevokedUnderTheEmptyPrefixOnly) {
  LeaseId id = this->client.create(this->key("a"), "", this->kOwn).lease;
  this->client.erase(this->key("a"));

  EXPECT_EQ(error_of(this->client.revoke(id, this->prefix)), Errc::lease_not_found);
  EXPECT_THAT(this->client.keys_of(id), IsEmpty());
  EXPECT_EQ(error_of(this->client.revoke(id, "")), std::nullopt);
  EXPECT_FALSE(this->client.lease(id));
}

TYPED_TEST_P(StoreLeases, OwnLeaseWithoutEntriesLivesToItsTtl) {
  LeaseId id = this->client.create(this->key("a"), "", this->kOwn).lease;
  this->client.erase(this->key("a"));

  this->backend.pass(this->kTtl - Ttl{1});
  EXPECT_THAT(this->client.keys_of(id), IsEmpty());
  EXPECT_EQ(error_of(this->client.keep_alive(id, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.keep_alive(id, "")), Errc::lease_not_found);

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->lease_comes_to_an_end(id));
}

TYPED_TEST_P(StoreLeases, OverwritingMovesTheEntryToItsLease) {
  LeaseId first = this->client.create(this->key("a"), "first", this->kOwn).lease;
  LeaseId second = this->client.put(this->key("a"), "second", OwnLease{.ttl = Ttl{600}, .id = std::nullopt}).lease;

  EXPECT_THAT(this->client.keys_of(first), IsEmpty());
  EXPECT_THAT(this->client.keys_of(second), ElementsAre(this->key("a")));
  EXPECT_EQ(error_of(this->client.keep_alive(first, this->prefix)), Errc::lease_not_found);
  EXPECT_EQ(error_of(this->client.revoke(first, this->prefix)), Errc::lease_not_found);
  this->backend.pass(this->kTtl + this->kSlack);
  EXPECT_TRUE(this->lease_comes_to_an_end(first));
  EXPECT_EQ(this->client.get(this->key("a")).value().value, "second");
}

TYPED_TEST_P(StoreLeases, RevokingTheOldLeaseLeavesTheMovedEntry) {
  LeaseId old_lease = this->client.create(this->key("a"), "first", this->kOwn).lease;
  this->client.put(this->key("a"), "second", kLasting);

  EXPECT_EQ(error_of(this->client.revoke(old_lease, "")), std::nullopt);

  EXPECT_EQ(this->client.get(this->key("a")).value().value, "second");
}

TYPED_TEST_P(StoreLeases, OverwritingUnderANewPooledLeaseRenews) {
  Committed created = this->client.create(this->key("a"), "", this->kPooled);
  for (int i = 0; i < 3; ++i) {
    this->backend.pass(this->kTtl - Ttl{1});
    this->client.put(this->key("a"), std::to_string(i), this->kPooled);
  }
  this->backend.pass(this->kTtl - Ttl{1});
  EXPECT_EQ(this->client.get(this->key("a")).value().created, created.revision);

  this->backend.pass(Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a"));
}

TYPED_TEST_P(StoreLeases, EntryUntilAMomentLivesToItAndEnds) {
  BootTime until = this->boot_now() + this->kTtl - std::chrono::milliseconds(700);
  Committed committed = this->client.create(this->key("a"), "", PooledUntil{until});

  auto life = this->client.lease_life(committed.leases.front()).value();
  EXPECT_GE(life.surely_until, until);
  EXPECT_LE(life.surely_until, until + Ttl{3});
  EXPECT_GE(life.at_most_until, life.surely_until);
  EXPECT_LE(life.at_most_until, until + Ttl{5}) << "etcd's answer is in whole seconds";
  this->backend.pass(this->kTtl - Ttl{2});
  EXPECT_TRUE(this->client.get(this->key("a")));
  this->backend.pass(Ttl{2} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a"));
  EXPECT_EQ(this->client.lease_life(committed.leases.front()), std::nullopt);
}

TYPED_TEST_P(StoreLeases, OverwritingMayKeepTheLease) {
  Committed created = this->client.create(this->key("a"), "first", this->kPooled);
  LeaseId lease = created.leases.front();
  this->backend.pass(Ttl{1});

  Put again{this->key("a"), "second", KeepLease{lease, this->boot_now() + Ttl{1}}};
  Committed kept = this->client.apply(
      {.expect = {{this->key("a"), created.revision}}, .none_under = {}, .changes = {std::move(again)}});

  auto entry = this->client.get(this->key("a")).value();
  EXPECT_EQ(entry.value, "second");
  EXPECT_EQ(entry.created, created.revision);
  EXPECT_EQ(entry.revision, kept.revision);
  EXPECT_EQ(entry.lease, lease);
  EXPECT_THAT(kept.leases, ElementsAre(lease));
  this->backend.pass(this->kTtl - Ttl{1} + this->kSlack);
  EXPECT_TRUE(this->comes_to_an_end("a")) << "as if it had not been overwritten";
}

TYPED_TEST_P(StoreLeases, CommitNamesTheLeaseOfEachEntry) {
  this->client.create(this->key("gone"), "", this->kPooled);
  Committed committed =
      this->client.apply({.expect = {},
                          .none_under = {},
                          .changes = {Put{this->key("a"), "", this->kPooled}, Erase{this->key("gone")},
                                      Put{this->key("b"), "", this->kOwn}}});

  EXPECT_THAT(committed.leases, ElementsAre(this->client.get(this->key("a")).value().lease, LeaseId{0},
                                            this->client.get(this->key("b")).value().lease));
}

TYPED_TEST_P(StoreLeases, AnUnknownLeaseHasNoLifetime) {
  EXPECT_EQ(this->client.lease_life(this->some_lease_id()), std::nullopt);
}

REGISTER_TYPED_TEST_SUITE_P(StoreLeases, StorePicksTheIdOfAnOwnLease, OwnLeaseTakesTheIdGiven,
                            SafetyR33_AnEntryShowsItsOwnLeaseOrNone, CommitAnswersTheOwnLeaseAmongOtherPuts,
                            IdThatHoldsAnEntryIsRefused, IdOfAnEmptyLeaseIsTakenOverWithTheTtlAsked,
                            EntriesLiveForTheirTtlAndEnd, ExpiredEntryIsAbsentForACommit, KeepAliveBringsBackTheFullTtl,
                            KeepAliveUnderAnotherPrefixTouchesNothing, KeepAliveOfAnUnknownLeaseFindsNothing,
                            EndedLeaseIsNotFound, PooledLeaseCanNotBeKeptAliveOrRevoked,
                            SessionLeaseCanNotBeKeptAliveOrRevoked, RevokeErasesTheEntry,
                            RevokeUnderAnotherPrefixTouchesNothing, EmptyLeaseIsRevokedUnderTheEmptyPrefixOnly,
                            OwnLeaseWithoutEntriesLivesToItsTtl, OverwritingMovesTheEntryToItsLease,
                            RevokingTheOldLeaseLeavesTheMovedEntry, OverwritingUnderANewPooledLeaseRenews,
                            EntryUntilAMomentLivesToItAndEnds, OverwritingMayKeepTheLease,
                            CommitNamesTheLeaseOfEachEntry, AnUnknownLeaseHasNoLifetime);

}  // namespace sharedlock::test
