#include "store/table/paged_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/store_printers.h"

namespace sharedlock::test {
namespace {

constexpr BootTime kNow{std::chrono::seconds(1)};
constexpr std::size_t kAll = 1'000'000;

class PagedSnapshotTest : public ::testing::Test {
 protected:
  std::vector<Change> apply(Mutation mutation) {
    std::vector<Change> changes;
    Transaction transaction{.expect = {}, .none_under = {}, .changes = {std::move(mutation)}};
    table.commit(std::move(transaction), kNow, &changes).value();
    return changes;
  }
  std::vector<Change> put(int i) { return apply(Put{key_of(i), std::to_string(random_()), PooledLease{Ttl{600}}}); }
  std::vector<Change> change_anything() {
    int i = std::uniform_int_distribution<int>(0, 3000)(random_);
    return random_() % 2 ? put(i) : apply(Erase{key_of(i)});
  }
  // A third of them outside the prefix, on either side.
  static std::string key_of(int i) {
    const char* prefix = i % 6 == 0 ? "a/" : i % 6 == 1 ? "c/" : "b/";
    return prefix + std::to_string(i);
  }

  LeaseTable table{Revision{1}, [this] { return LeaseId{++ids_}; }};

 private:
  std::mt19937_64 random_{7};
  std::int64_t ids_ = 0;
};

TEST_F(PagedSnapshotTest, IsTheStateAsOfItsRevisionWhateverChangesBetweenThePages) {
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 300; ++i) put(static_cast<int>(static_cast<std::size_t>(round * 300 + i) * 7 % 3000));
    PagedSnapshot pages("b/");
    int taken = 1;
    for (; pages.take_page(table); ++taken) {
      for (int i = 0; i < 40; ++i) pages.note(change_anything());
    }
    Listing now = table.list("b/", "", kAll);
    ASSERT_GE(taken, static_cast<int>(now.entries.size() / 256));

    Snapshot snapshot = std::move(pages).finish();

    EXPECT_EQ(snapshot.as_of, now.as_of);
    ASSERT_EQ(snapshot.entries, now.entries) << "round " << round;
  }
}

TEST_F(PagedSnapshotTest, OfNothingIsEmpty) {
  put(0);
  PagedSnapshot pages("b/");
  EXPECT_FALSE(pages.take_page(table));
  EXPECT_THAT(std::move(pages).finish().entries, ::testing::IsEmpty());
}

}  // namespace
}  // namespace sharedlock::test
