#include "store/embedded/rocks_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/embedded/rocks_journal_fixture_test.h"

namespace sharedlock::test::rocks {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST_F(RocksJournal, ADirectoryThatIsMissingIsMade) {
  fs::path nested = directory / "a" / "b" / "c";

  EXPECT_TRUE(read(nested));

  EXPECT_TRUE(fs::is_directory(nested));
}

TEST_F(RocksJournal, AppendedWritesAreThere) {
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

TEST_F(RocksJournal, AnEmptyDirectoryIsANewJournalTheSecondTimeToo) {
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
  // Not even root can write there.
  expect_refused("/proc", Errc::unavailable);
  expect_refused("/proc/shared-lock", Errc::unavailable);
}

TEST_F(RocksJournal, ADirectoryThatIsOpenAlreadyIsRefused) {
  auto first = open_rocks_journal(at).value();
  first->load().value();

  expect_refused(at, Errc::unavailable, "is open in another process");

  EXPECT_TRUE(first->append({batch({kLease, entry("a")})}));
}

TEST_F(RocksJournal, OneOfManyConcurrentStartsGetsItAndTheOthersAreToldWhy) {
  constexpr int kStarts = 6;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::optional<Result<std::unique_ptr<Journal>>>> opened(kStarts);
    std::latch start(kStarts);
    {
      std::vector<std::jthread> threads;
      threads.reserve(kStarts);
      for (auto& journal : opened) {
        threads.emplace_back([&] {
          start.arrive_and_wait();
          journal.emplace(open_rocks_journal(at));
        });
      }
    }
    int serving = 0;
    for (auto& result : opened) {
      Result<std::unique_ptr<Journal>>& journal = result.value();
      if (!journal) {
        EXPECT_THAT(journal.error().message, HasSubstr("is open in another process"));
        continue;
      }
      ++serving;
      (*journal)->load().value();
      (*journal)->append({batch({kLease, entry(std::to_string(round), std::string(5000, 'v'))})}).value();
    }
    EXPECT_EQ(serving, 1);
  }
  EXPECT_THAT(read(at).value().entries, SizeIs(10));
}

TEST_F(RocksJournal, AnotherFormatIsRefused) {
  write(at, {batch({kLease, entry("a")})});
  write_raw(at, "m/format", std::string("\0\0\0\0\0\0\0\2", 8));

  expect_left_alone(at, Errc::corrupt,
                    "has format 2, written by another version of shared-lock; this one knows format 1");
}

TEST_F(RocksJournal, ANewerFormatIsReportedEvenIfItsRecordsAreUnreadable) {
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

TEST_F(RocksJournal, TheDatabaseOfAnotherProgramIsRefused) {
  fs::create_directory(at);
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, at.string(), &opened).ok());
  delete opened;
  write_raw(at, "something", "else");

  expect_left_alone(at, Errc::corrupt, "no format");
}

TEST_F(RocksJournal, AForeignDirectoryIsNotTakenForADamagedOne) {
  fs::create_directory(at);
  put_bytes(at / "app.log", "somebody's");
  expect_left_alone(at, Errc::unavailable, "not one of shared-lock: it holds app.log");
  fs::rename(at / "app.log", at / "letter.txt");
  expect_left_alone(at, Errc::unavailable, "not one of shared-lock: it holds letter.txt");
}

TEST_F(RocksJournal, FilesThatFileSystemsPutIntoAnEmptyDirectoryAreHarmless) {
  fs::create_directories(at / "lost+found");
  put_bytes(at / ".keep", "");
  write(at, {batch({kLease, entry("a")})});
  // Files that other programs put beside a journal later are harmless too.
  put_bytes(at / "app.log", std::string(100, 'x'));
  EXPECT_THAT(read(at).value().entries, SizeIs(1));
}

TEST_F(RocksJournal, AKilledFirstStartIsHarmless) {
  fs::create_directory(at);
  for (const char* name : {"LOCK", "IDENTITY", "000001.dbtmp", "MANIFEST-000001"}) put_bytes(at / name, "half");
  EXPECT_THAT(read(at).value().entries, IsEmpty());
}

TEST_F(RocksJournal, AFirstStartKilledBeforeItsLogWasMadeIsHarmless) {
  write(at, {});
  for (const fs::path& log : files_of(at, ".log")) fs::remove(log);
  ASSERT_THAT(files_of(at, ".sst"), IsEmpty());
  EXPECT_THAT(read(at).value().entries, IsEmpty());
}

}  // namespace
}  // namespace sharedlock::test::rocks
