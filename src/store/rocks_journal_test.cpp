#include "store/rocks_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <fstream>

#include "contract/store_client.h"
#include "store/rocks_log_check.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

KeyedEntry entry(std::string key, std::string value = "", std::int64_t lease = 7) {
  return {std::move(key), {std::move(value), LeaseId{lease}, Revision{1}, Revision{2}}};
}
const JournalLease kLease{LeaseId{7}, true, Ttl{60}};
constexpr Revision kReserved{1000};

JournalBatch batch(std::vector<JournalWrite> writes) {
  return {.writes = std::move(writes), .reserved = kReserved};
}

// Opens a journal, loads it, and appends the batches.
void write(const fs::path& directory, const std::vector<JournalBatch>& batches) {
  auto journal = open_rocks_journal(directory).value();
  journal->load().value();
  for (const JournalBatch& batch : batches) journal->append(batch).value();
}

Result<JournalState> read(const fs::path& directory) {
  auto journal = open_rocks_journal(directory);
  if (!journal) return journal.error();
  return (*journal)->load();
}

// Changes records behind the journal's back.
void write_raw(const fs::path& directory, const std::string& key, const std::string& record) {
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(rocksdb::Options(), directory.string(), &opened).ok());
  std::unique_ptr<rocksdb::DB> database(opened);
  ASSERT_TRUE(database->Put(rocksdb::WriteOptions(), key, record).ok());
}
void erase_raw(const fs::path& directory, const std::string& key) {
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(rocksdb::Options(), directory.string(), &opened).ok());
  std::unique_ptr<rocksdb::DB> database(opened);
  ASSERT_TRUE(database->Delete(rocksdb::WriteOptions(), key).ok());
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void put_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

std::vector<fs::path> files_of(const fs::path& directory, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().extension() == extension) files.push_back(file.path());
  }
  return files;
}

class RocksJournal : public ::testing::Test {
 protected:
  // That it can't be opened or read, for that reason, in words that name the directory.
  static void expect_refused(const fs::path& at, Errc why, const std::string& words = "") {
    auto state = read(at);
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code, why) << state.error().message;
    EXPECT_THAT(state.error().message, HasSubstr(at.string()));
    EXPECT_THAT(state.error().message, HasSubstr(words));
  }

  TemporaryDirectory directory;
  const fs::path at = directory / "data";
};

TEST_F(RocksJournal, ADirectoryThatIsMissingIsMade) {
  fs::path nested = directory / "a" / "b" / "c";

  EXPECT_TRUE(read(nested));

  EXPECT_TRUE(fs::is_directory(nested));
}

TEST_F(RocksJournal, WhatWasAppendedIsThere) {
  const JournalLease pooled{LeaseId{8}, false, Ttl{9'000'000'000}};
  write(at, {batch({kLease, entry("a", "1"), entry("b", "1"), entry("c", "1")}),
             batch({pooled, EraseEntry{"b"}, entry("c", "2", 8), EndLease{LeaseId{9}}})});

  JournalState state = read(at).value();

  EXPECT_EQ(state.entries, (std::vector<KeyedEntry>{entry("a", "1"), entry("c", "2", 8)}));
  EXPECT_EQ(state.leases, (std::vector<JournalLease>{kLease, pooled}));
  EXPECT_EQ(state.reserved, kReserved);
}

TEST_F(RocksJournal, WritesOfOneBatchAreAppliedInTheirOrder) {
  write(at, {batch({entry("a", "1"), EraseEntry{"a"}, kLease, EndLease{kLease.id}, EraseEntry{"b"}, entry("b", "2")})});

  JournalState state = read(at).value();

  EXPECT_EQ(state.entries, (std::vector<KeyedEntry>{entry("b", "2")}));
  EXPECT_THAT(state.leases, IsEmpty());
}

TEST_F(RocksJournal, AnyBytesAndAMebibyteSurvive) {
  const std::string odd("\0\xff\n\0e/l/m/\xff", 11), big(1 << 20, '\xff');
  write(at, {batch({entry(odd, odd), entry("big", big), entry(std::string(1 << 16, '\0'), "")})});

  JournalState state = read(at).value();

  EXPECT_THAT(state.entries, ::testing::UnorderedElementsAre(entry(odd, odd), entry("big", big),
                                                             entry(std::string(1 << 16, '\0'), "")));
}

TEST_F(RocksJournal, AnEmptyDirectoryIsANewJournalAlsoTheSecondTime) {
  EXPECT_THAT(read(at).value().entries, IsEmpty());
  EXPECT_THAT(read(at).value().entries, IsEmpty());
}

TEST_F(RocksJournal, APathThatIsAFileIsRefused) {
  put_bytes(at, "not a directory");

  expect_refused(at, Errc::unavailable);
  expect_refused(at / "below", Errc::unavailable);

  EXPECT_EQ(bytes_of(at), "not a directory");
}

TEST_F(RocksJournal, ADirectoryThatCanNotBeWrittenIsRefused) {
  // Nobody can write there, not even root.
  expect_refused("/proc", Errc::unavailable);
  expect_refused("/proc/shared-lock", Errc::unavailable);
}

TEST_F(RocksJournal, ADirectoryThatIsOpenAlreadyIsRefused) {
  auto first = open_rocks_journal(at).value();
  first->load().value();

  expect_refused(at, Errc::unavailable, "lock");

  EXPECT_TRUE(first->append(batch({kLease, entry("a")})));
}

TEST_F(RocksJournal, AnotherFormatIsRefused) {
  write(at, {batch({kLease, entry("a")})});
  write_raw(at, "m/format", std::string("\0\0\0\0\0\0\0\2", 8));

  expect_refused(at, Errc::corrupt, "has format 2, written by another version of shared-lock; this one knows format 1");
}

TEST_F(RocksJournal, AFormatFromTheFutureIsToldAlsoWhenItsRecordsMeanNothingToUs) {
  write(at, {});
  write_raw(at, "m/format", std::string("\0\0\0\0\0\0\0\2", 8));
  write_raw(at, "e/a", "?");

  expect_refused(at, Errc::corrupt, "has format 2");
}

TEST_F(RocksJournal, MissingOrUnreadableNumbersAreRefused) {
  for (std::string name : {"m/format", "m/reserved"}) {
    SCOPED_TRACE(name);
    fs::path mine = directory / std::to_string(name.size());
    write(mine, {batch({kLease, entry("a")})});
    erase_raw(mine, name);
    expect_refused(mine, Errc::corrupt);
    write_raw(mine, name, "short");
    expect_refused(mine, Errc::corrupt);
    write_raw(mine, name, std::string(8, '\0'));
    expect_refused(mine, Errc::corrupt);
  }
}

TEST_F(RocksJournal, ADatabaseOfSomethingElseIsRefused) {
  fs::create_directory(at);
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, at.string(), &opened).ok());
  delete opened;
  write_raw(at, "something", "else");

  expect_refused(at, Errc::corrupt, "no format");
}

TEST_F(RocksJournal, AnUnreadableRecordIsRefused) {
  const std::string id("\0\0\0\0\0\0\0\7", 8);
  const std::vector<std::pair<std::string, std::string>> damaged = {{"e/a", "short"},
                                                                    {"e/", std::string(24, '\1')},
                                                                    {"e/a", std::string(24, '\0')},
                                                                    {"l/" + id, ""},
                                                                    {"l/" + id, "x" + id},
                                                                    {"l/" + id, "o"},
                                                                    {"l/" + id, "o" + id + "more"},
                                                                    {"l/" + id + "+", "o" + id},
                                                                    {"l/short", "o" + id},
                                                                    {"l/", "o" + id},
                                                                    {"unknown", ""},
                                                                    {"l/" + id, "o" + std::string(8, '\0')}};
  for (std::size_t i = 0; i < damaged.size(); ++i) {
    SCOPED_TRACE(i);
    fs::path mine = directory / std::to_string(i);
    write(mine, {batch({kLease, entry("a")})});
    write_raw(mine, damaged[i].first, damaged[i].second);
    expect_refused(mine, Errc::corrupt, "can't be read");
  }
}

// What is left in the log that is being written when a process is killed, and damaged copies of it.
class RocksJournalLog : public RocksJournal {
 protected:
  static constexpr std::size_t kBatches = 30;

  // A directory as a kill leaves it: the journal that made it is still open.
  void SetUp() override {
    journal_ = open_rocks_journal(at).value();
    journal_->load().value();
    for (std::size_t i = 0; i < kBatches; ++i) {
      journal_->append(batch({kLease, entry(std::to_string(100 + i), std::string(40, 'v'))})).value();
      ends_.push_back(bytes_of(log_of(at)).size());
    }
    log_ = bytes_of(log_of(at));
    ASSERT_EQ(log_.size(), ends_.back());
  }

  static fs::path log_of(const fs::path& data) {
    std::vector<fs::path> logs = files_of(data, ".log");
    if (logs.size() != 1) throw std::logic_error("there should be one log");
    return logs.front();
  }

  // A copy with that log.
  fs::path copy_with(const std::string& log) {
    fs::path copy = directory / "copy";
    fs::remove_all(copy);
    fs::copy(at, copy);
    put_bytes(log_of(copy), log);
    return copy;
  }

  std::unique_ptr<Journal> journal_;
  std::string log_;
  std::vector<std::size_t> ends_;  // of the batches, in the log
};

TEST_F(RocksJournalLog, ATornTailOpensWithAllWholeBatches) {
  for (std::size_t lost = 0; lost <= ends_[kBatches - 1] - ends_[kBatches - 3]; ++lost) {
    std::size_t left = log_.size() - lost;
    auto whole = std::ranges::count_if(ends_, [&](std::size_t end) { return end <= left; });

    auto state = read(copy_with(log_.substr(0, left)));

    ASSERT_TRUE(state) << state.error().message;
    ASSERT_THAT(state->entries, SizeIs(whole)) << "without the last " << lost << " bytes";
  }
}

TEST_F(RocksJournalLog, ZerosAfterTheLastBatchAreATornTail) {
  auto state = read(copy_with(log_ + std::string(5000, '\0')));

  ASSERT_TRUE(state) << state.error().message;
  EXPECT_THAT(state->entries, SizeIs(kBatches));
}

TEST_F(RocksJournalLog, SafetyR13_AFlippedByteInTheMiddleIsRefused) {
  // Every byte of a batch with its header.
  for (std::size_t i = ends_[9]; i < ends_[10]; ++i) {
    std::string damaged = log_;
    damaged[i] = static_cast<char>(~damaged[i]);
    ASSERT_NO_FATAL_FAILURE(expect_refused(copy_with(damaged), Errc::corrupt, "damaged")) << "byte " << i - ends_[9];
  }
}

// With some of these RocksDB by itself opens, without this batch and those behind it.
TEST_F(RocksJournalLog, SafetyR13_AFlippedBitInTheHeaderOfABatchIsRefused) {
  constexpr std::size_t kHeader = 7;  // checksum, length, type
  for (std::size_t batch : {std::size_t{0}, std::size_t{10}, kBatches - 1}) {
    std::size_t begin = batch == 0 ? 0 : ends_[batch - 1];
    for (std::size_t i = begin * 8; i < (begin + kHeader) * 8; ++i) {
      std::string damaged = log_;
      damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
      ASSERT_NO_FATAL_FAILURE(expect_refused(copy_with(damaged), Errc::corrupt, "damaged"))
          << "bit " << i - begin * 8 << " of batch " << batch;
    }
  }
}

TEST_F(RocksJournalLog, SafetyR13_ALostFileNeverMeansAStartFromEmpty) {
  fs::path copy = copy_with(log_);
  journal_.reset();
  ASSERT_TRUE(read(at));  // now its state is in another kind of file
  for (const fs::path& lost : {copy, at}) {
    fs::remove(lost / "CURRENT");
    expect_refused(lost, Errc::corrupt, "CURRENT");
    expect_refused(lost, Errc::corrupt, "CURRENT");
  }
}

TEST_F(RocksJournalLog, SafetyR13_ALostLogIsRefused) {
  fs::path copy = copy_with(log_);
  fs::remove(log_of(copy));
  expect_refused(copy, Errc::corrupt, "log");
  expect_refused(copy, Errc::corrupt, "log");
}

// A log that was cut off at its very beginning can't be told from a new one; but no revision is given twice for it.
TEST_F(RocksJournalLog, SafetyR31_TheFirstReservationOutlivesTheLog) {
  journal_.reset();
  Revision reserved = read(copy_with(log_)).value().reserved;
  fs::resize_file(log_of(at), 0);
  EXPECT_EQ(read(at).value().reserved, reserved);
}

// Longer than a block, so that batches are written in several records.
class RocksJournalLongLog : public RocksJournalLog {
 protected:
  void SetUp() override {
    RocksJournalLog::SetUp();
    for (int i = 0; i < 4; ++i) {
      journal_->append(batch({entry("big" + std::to_string(i), std::string(100'000, 'v'))})).value();
      ends_.push_back(bytes_of(log_of(at)).size());
    }
    log_ = bytes_of(log_of(at));
  }
};

TEST_F(RocksJournalLongLog, IsNotDamaged) {
  EXPECT_FALSE(is_damaged_log(log_));
  EXPECT_THAT(read(copy_with(log_)).value().entries, SizeIs(kBatches + 4));
}

TEST_F(RocksJournalLongLog, ATornTailIsNotDamage) {
  for (std::size_t left = log_.size(); left > ends_[kBatches + 1]; left -= 997) {
    EXPECT_FALSE(is_damaged_log(log_.substr(0, left))) << left;
  }
}

// A torn tail too, but RocksDB does not say so: it opens neither with the batch nor without.
TEST_F(RocksJournalLongLog, ALastBatchOfWhichOnlyLaterPagesReachedTheDiskIsRefused) {
  std::string torn = log_;
  torn.replace(ends_[kBatches + 2], 50'000, 50'000, '\0');

  EXPECT_FALSE(is_damaged_log(torn));
  expect_refused(copy_with(torn), Errc::corrupt, "damaged");
}

TEST_F(RocksJournalLongLog, SafetyR13_DamageBeforeABatchInALaterBlockIsDamage) {
  for (std::size_t batch : {std::size_t{5}, kBatches, kBatches + 1}) {
    std::string damaged = log_;
    damaged[ends_[batch] + 5] = '\x7f';
    damaged[ends_[batch] + 4] = '\xff';
    EXPECT_TRUE(is_damaged_log(damaged)) << batch;
  }
}

}  // namespace
}  // namespace sharedlock::test
