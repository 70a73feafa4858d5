// Damaged tables and manifests of a journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "store/embedded/rocks_journal_fixture_test.h"
#include "store/embedded/rocks_log_check.h"
#include "support/eventually.h"

namespace sharedlock::test::rocks {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A journal with its state in a table, not in the log.
class RocksJournalTable : public RocksJournal {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) {
      write(at, {batch({kLease, entry("a", std::string(200, 'a')), entry(std::to_string(i), std::string(500, 'v'))})});
    }
    ASSERT_THAT(read(at).value().entries, SizeIs(4));
  }

  fs::path copy() {
    fs::path copy = directory / "copy";
    fs::remove_all(copy);
    fs::copy(at, copy);
    return copy;
  }
};

TEST_F(RocksJournalTable, SafetyR13_ALostTableIsRefused) {
  ASSERT_THAT(files_of(at, ".sst"), Not(IsEmpty()));
  for (const fs::path& table : files_of(at, ".sst")) {
    fs::path mine = copy();
    fs::remove(mine / table.filename());
    expect_left_alone(mine, Errc::corrupt);
  }
}

TEST_F(RocksJournalTable, SafetyR13_AFlippedByteInATableIsRefusedOrHarmless) {
  int refused = 0;
  for (const fs::path& table : files_of(at, ".sst")) {
    const std::string bytes = bytes_of(table);
    for (std::size_t i = 0; i < bytes.size(); i += 97) {
      fs::path mine = copy();
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(~damaged[i]);
      put_bytes(mine / table.filename(), damaged);
      auto before = contents_of(mine);
      auto state = read(mine);
      if (state) {
        ASSERT_THAT(state->entries, SizeIs(4)) << table << " byte " << i;
        continue;
      }
      ++refused;
      EXPECT_THAT(state.error().message, HasSubstr(mine.string()));
      EXPECT_EQ(contents_of(mine), before);
    }
  }
  EXPECT_GT(refused, 5);
}

TEST_F(RocksJournalTable, SafetyR13_ALostOrFlippedManifestIsRefused) {
  std::string name = bytes_of(at / "CURRENT");
  name.pop_back();
  const std::string bytes = bytes_of(at / name);
  fs::path lost = copy();
  fs::remove(lost / name);
  expect_left_alone(lost, Errc::unavailable, name);
  // The last record is the critical one.
  for (std::size_t i = 0; i < bytes.size(); i += i + 30 < bytes.size() ? 17U : 1U) {
    fs::path mine = copy();
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(~damaged[i]);
    put_bytes(mine / name, damaged);
    ASSERT_NO_FATAL_FAILURE(expect_left_alone(mine, Errc::corrupt, "damaged"))
        << "byte " << i << " of " << bytes.size();
  }
}

// Our own check is tried with every bit. The journal is tried with the bits that it leaves to RocksDB, and with all
// lengths and types.
void expect_manifest_flips_refused(const fs::path& image) {
  std::string name = bytes_of(image / "CURRENT");
  name.pop_back();
  const std::string bytes = bytes_of(image / name);
  ASSERT_EQ(check_manifest(bytes).end, LogEnd::whole);
  std::set<std::size_t> delicate;
  for (std::size_t record : records_of(bytes)) {
    for (std::size_t bit = (record + kLengthAt) * 8; bit < (record + kRecordHeader) * 8; ++bit) delicate.insert(bit);
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    if (check_manifest(flipped(bytes, bit)).end != LogEnd::damaged) delicate.insert(bit);
  }
  for (std::size_t bit : delicate) {
    fs::path mine = image.parent_path() / "copy";
    fs::remove_all(mine);
    fs::copy(image, mine);
    put_bytes(mine / name, flipped(bytes, bit));
    ASSERT_NO_FATAL_FAILURE(expect_left_alone(mine, Errc::corrupt, "damaged"))
        << "bit " << bit % 8 << " of byte " << bit / 8 << " of " << bytes.size();
  }
}

// As kills leave it, in a first life and in later ones.
TEST_F(RocksJournal, SafetyR13_AFlippedBitInTheManifestIsRefused) {
  for (int life = 0; life < 3; ++life) {
    SCOPED_TRACE(life);
    fs::path image = directory / std::to_string(life);
    {
      auto journal = open_rocks_journal(at).value();
      journal->load().value();
      for (int i = 0; i < 3; ++i) {
        journal->append({batch({kLease, entry(std::to_string(life) + std::to_string(i))})}).value();
      }
      ASSERT_TRUE(eventually([&] { return is_at_rest(at); }));
      fs::copy(at, image);
    }
    expect_manifest_flips_refused(image);
  }
}

TEST_F(RocksJournalTable, ATornManifestIsNoDamage) {
  std::string name = bytes_of(at / "CURRENT");
  name.pop_back();
  const std::string bytes = bytes_of(at / name);
  for (std::size_t left = 0; left < bytes.size(); ++left) {
    ASSERT_NE(check_manifest(bytes.substr(0, left)).end, LogEnd::damaged) << left;
  }
}

}  // namespace
}  // namespace sharedlock::test::rocks
