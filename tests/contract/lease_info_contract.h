#pragma once

#include "contract/store_fixture.h"

// What lease() tells of a lease.
namespace sharedlock::test {

using ::testing::ElementsAre;

template <class Backend>
class StoreLeaseInfo : public StoreContract<Backend> {};
TYPED_TEST_SUITE_P(StoreLeaseInfo);

TYPED_TEST_P(StoreLeaseInfo, NothingForAnUnknownLease) {
  EXPECT_EQ(this->client.lease(this->some_lease_id()), std::nullopt);
}

TYPED_TEST_P(StoreLeaseInfo, OfAnOwnLease) {
  Committed committed = this->client.create(this->key("a"), "", OwnLease{.ttl = Ttl{600}, .id = std::nullopt});

  LeaseInfo at_first = this->client.lease(committed.lease).value();
  this->backend.pass(Ttl{2});
  LeaseInfo later = this->client.lease(committed.lease).value();

  EXPECT_EQ(at_first.granted, committed.ttl);
  EXPECT_LE(at_first.left, committed.ttl);
  EXPECT_GE(at_first.left, committed.ttl - Ttl{30});
  EXPECT_THAT(at_first.keys, ElementsAre(this->key("a")));
  EXPECT_EQ(later.granted, committed.ttl);
  EXPECT_LT(later.left, committed.ttl);
  EXPECT_GE(later.left, committed.ttl - Ttl{30});
}

TYPED_TEST_P(StoreLeaseInfo, KeepAliveBringsBackWhatIsLeft) {
  Committed committed = this->client.create(this->key("a"), "", OwnLease{.ttl = Ttl{600}, .id = std::nullopt});
  this->backend.pass(Ttl{3});
  Ttl before = this->client.lease(committed.lease).value().left;

  ASSERT_EQ(error_of(this->client.keep_alive(committed.lease, this->prefix)), std::nullopt);

  EXPECT_GT(this->client.lease(committed.lease).value().left, before);
}

TYPED_TEST_P(StoreLeaseInfo, OfPooledAndSessionLeases) {
  this->client.create(this->key("pooled"), "", kLasting);
  this->client.create(this->key("session"), "", SessionLease{});

  LeaseInfo pooled = this->client.lease(this->client.get(this->key("pooled")).value().lease).value();
  LeaseInfo session = this->client.lease(this->client.get(this->key("session")).value().lease).value();

  EXPECT_THAT(pooled.keys, ::testing::Contains(this->key("pooled")));
  EXPECT_GE(pooled.granted, kLasting.ttl);
  EXPECT_GE(pooled.left, kLasting.ttl - Ttl{30});
  EXPECT_THAT(session.keys, ::testing::Contains(this->key("session")));
  EXPECT_THAT(session.keys, ::testing::Not(::testing::Contains(this->key("pooled"))));
  EXPECT_GT(session.left, Ttl{0});
}

TYPED_TEST_P(StoreLeaseInfo, KeysOfASessionAreInOrder) {
  for (auto name : {"c", "a", "b"}) this->client.create(this->key(name), "", SessionLease{});

  auto keys = this->client.keys_of(this->client.get(this->key("a")).value().lease);

  std::erase_if(keys, [this](const std::string& key) { return !key.starts_with(this->prefix); });
  EXPECT_THAT(keys, ElementsAre(this->key("a"), this->key("b"), this->key("c")));
}

REGISTER_TYPED_TEST_SUITE_P(StoreLeaseInfo, NothingForAnUnknownLease, OfAnOwnLease, KeepAliveBringsBackWhatIsLeft,
                            OfPooledAndSessionLeases, KeysOfASessionAreInOrder);

}  // namespace sharedlock::test
