#pragma once

#include "contract/store_fixture.h"

// list(): order, pages, prefixes.
namespace sharedlock::test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <class Backend>
class StoreList : public StoreContract<Backend> {
 protected:
  void create(const std::vector<std::string>& names) {
    for (const auto& name : names) this->client.create(this->key(name), "of " + name);
  }
  std::vector<std::string> keys_of(const Listing& listing) {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : listing.entries) keys.push_back(key);
    return keys;
  }
};
TYPED_TEST_SUITE_P(StoreList);

TYPED_TEST_P(StoreList, ListsEntriesAsGetDoes) {
  this->create({"a", "b"});

  Listing listing = this->client.list(this->prefix);

  ASSERT_EQ(listing.entries.size(), 2u);
  EXPECT_EQ(listing.entries[0].second, this->client.get(this->key("a")));
  EXPECT_EQ(listing.entries[1].second, this->client.get(this->key("b")));
  EXPECT_FALSE(listing.more);
  EXPECT_GE(listing.as_of, listing.entries[1].second.revision);
}

TYPED_TEST_P(StoreList, ListsNothingWhereNothingIs) {
  Committed elsewhere = this->client.create(this->key("a"), "");

  Listing listing = this->client.list(this->key("b"));

  EXPECT_THAT(listing.entries, IsEmpty());
  EXPECT_FALSE(listing.more);
  EXPECT_GE(listing.as_of, elsewhere.revision);
}

TYPED_TEST_P(StoreList, ErasedEntriesAreNotListed) {
  this->create({"a", "b", "c"});
  Committed erased = this->client.erase(this->key("b"));

  Listing listing = this->client.list(this->prefix);

  EXPECT_THAT(this->keys_of(listing), ElementsAre(this->key("a"), this->key("c")));
  EXPECT_GE(listing.as_of, erased.revision);
}

TYPED_TEST_P(StoreList, OrderIsThatOfUnsignedBytes) {
  using namespace std::string_literals;
  std::vector<std::string> in_order{"\0"s,    "\0\0"s, "\0a"s,  "a"s,    "a\0"s,    "a\0\xff"s, "aa"s,
                                    "a\xff"s, "\x7f"s, "\x80"s, "\xff"s, "\xff\0"s, "\xff\xff"s};
  std::vector<std::string> expected;
  for (const auto& name : in_order) expected.push_back(this->key(name));

  this->create({in_order.rbegin(), in_order.rend()});

  EXPECT_EQ(this->client.keys_under(this->prefix), expected);
}

TYPED_TEST_P(StoreList, PagesFollowOneAnotherWithoutGapOrRepetition) {
  this->create({"0", "1", "2", "3", "4", "5", "6"});

  Listing first = this->client.list(this->prefix, "", 3);
  Listing second = this->client.list(this->prefix, this->key("2"), 3);
  Listing third = this->client.list(this->prefix, this->key("5"), 3);

  EXPECT_THAT(this->keys_of(first), ElementsAre(this->key("0"), this->key("1"), this->key("2")));
  EXPECT_TRUE(first.more);
  EXPECT_THAT(this->keys_of(second), ElementsAre(this->key("3"), this->key("4"), this->key("5")));
  EXPECT_TRUE(second.more);
  EXPECT_THAT(this->keys_of(third), ElementsAre(this->key("6")));
  EXPECT_FALSE(third.more);
}

TYPED_TEST_P(StoreList, FullLastPageHasNoMore) {
  this->create({"0", "1", "2"});
  this->client.create(this->prefix.substr(0, this->prefix.size() - 1) + "0", "right behind the prefix");

  EXPECT_FALSE(this->client.list(this->prefix, "", 3).more);
  EXPECT_TRUE(this->client.list(this->prefix, "", 2).more);
  EXPECT_FALSE(this->client.list(this->prefix, this->key("0"), 2).more);
  EXPECT_TRUE(this->client.list(this->prefix, this->key("0"), 1).more);
}

TYPED_TEST_P(StoreList, AfterNeedsNoEntry) {
  this->create({"a", "c"});

  EXPECT_THAT(this->keys_of(this->client.list(this->prefix, this->key("b"))), ElementsAre(this->key("c")));
  EXPECT_THAT(this->keys_of(this->client.list(this->prefix, this->key("a"))), ElementsAre(this->key("c")));
  EXPECT_THAT(this->keys_of(this->client.list(this->prefix, this->key("c"))), IsEmpty());
}

TYPED_TEST_P(StoreList, AfterMayLieOutsideThePrefix) {
  this->create({"a", "b/1", "b/2", "c"});

  EXPECT_THAT(this->keys_of(this->client.list(this->key("b/"), this->key("a"))),
              ElementsAre(this->key("b/1"), this->key("b/2")));
  EXPECT_THAT(this->keys_of(this->client.list(this->key("b/"), this->key("c"))), IsEmpty());
}

TYPED_TEST_P(StoreList, PrefixIsMatchedByBytes) {
  this->create({"a", "a/x", "ab", "b"});

  EXPECT_THAT(this->client.keys_under(this->key("a")), ElementsAre(this->key("a"), this->key("a/x"), this->key("ab")));
  EXPECT_THAT(this->client.keys_under(this->key("a/")), ElementsAre(this->key("a/x")));
}

TYPED_TEST_P(StoreList, EntryAtThePrefixItselfBelongsToIt) {
  this->create({"a", "a/x"});

  EXPECT_THAT(this->keys_of(this->client.list(this->key("a"), "")), ElementsAre(this->key("a"), this->key("a/x")));
  EXPECT_THAT(this->keys_of(this->client.list(this->key("a"), this->key("a"))), ElementsAre(this->key("a/x")));
}

TYPED_TEST_P(StoreList, PrefixMayEndInTheHighestByte) {
  using namespace std::string_literals;
  this->create({"a", "a\xfe", "a\xff", "a\xff\0"s, "a\xff\xff", "b"});

  EXPECT_THAT(this->client.keys_under(this->key("a\xff")),
              ElementsAre(this->key("a\xff"), this->key("a\xff\0"s), this->key("a\xff\xff")));
  EXPECT_THAT(this->client.keys_under(this->key("a\xff\xff")), ElementsAre(this->key("a\xff\xff")));
}

TYPED_TEST_P(StoreList, PrefixMayEndInNul) {
  using namespace std::string_literals;
  this->create({"a", "a\0"s, "a\0x"s, "a\1"s});

  EXPECT_THAT(this->client.keys_under(this->key("a\0"s)), ElementsAre(this->key("a\0"s), this->key("a\0x"s)));
}

TYPED_TEST_P(StoreList, PrefixMayBeNothingButHighestBytes) {
  std::string last = "\xff\xff" + this->prefix;
  this->client.create(last, "");

  EXPECT_THAT(this->client.keys_under("\xff"), ::testing::Contains(last));
  EXPECT_THAT(this->client.keys_under("\xff\xff"), ::testing::Contains(last));
  EXPECT_THAT(this->client.keys_under("\xff\xff\xff"), ::testing::Not(::testing::Contains(last)));
  this->client.erase(last);
}

TYPED_TEST_P(StoreList, EndedEntriesAreNotListed) {
  this->client.create(this->key("ends"), "", PooledLease{this->kTtl});
  this->client.create(this->key("stays"), "");

  this->backend.pass(this->kTtl + this->kSlack);

  auto expected = ElementsAre(this->key("stays"));
  EXPECT_TRUE(eventually([&] { return ::testing::Matches(expected)(this->client.keys_under(this->prefix)); }));
}

REGISTER_TYPED_TEST_SUITE_P(StoreList, ListsEntriesAsGetDoes, ListsNothingWhereNothingIs, ErasedEntriesAreNotListed,
                            OrderIsThatOfUnsignedBytes, PagesFollowOneAnotherWithoutGapOrRepetition,
                            FullLastPageHasNoMore, AfterNeedsNoEntry, AfterMayLieOutsideThePrefix,
                            PrefixIsMatchedByBytes, EntryAtThePrefixItselfBelongsToIt, PrefixMayEndInTheHighestByte,
                            PrefixMayEndInNul, PrefixMayBeNothingButHighestBytes, EndedEntriesAreNotListed);

}  // namespace sharedlock::test
