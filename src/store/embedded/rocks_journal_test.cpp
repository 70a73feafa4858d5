#include "store/embedded/rocks_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <boost/crc.hpp>
#include <cstdint>
#include <fstream>
#include <latch>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "contract/store_client.h"
#include "store/embedded/rocks_log_check.h"
#include "support/eventually.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
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
  for (const JournalBatch& batch : batches) journal->append({batch}).value();
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

std::string flipped(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

// A record of a log or manifest: a checksum (4 bytes), a length (2), a type (1), the payload.
constexpr std::size_t kBlock = 32 << 10;
constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kRecordHeader = 7;

// Where the records from `begin` on start; all must be whole.
std::vector<std::size_t> records_of(const std::string& log, std::size_t begin = 0) {
  std::vector<std::size_t> records;
  for (std::size_t i = begin; i < log.size();) {
    if (std::size_t left = kBlock - i % kBlock; left < kRecordHeader) i += left;
    records.push_back(i);
    auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(log[at])); };
    i += kRecordHeader + byte(i + kLengthAt) + byte(i + kLengthAt + 1) * 256;
  }
  return records;
}

std::vector<fs::path> files_of(const fs::path& directory, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().extension() == extension) files.push_back(file.path());
  }
  return files;
}

// Whether RocksDB's background thread has deleted its obsolete files. Only then can an open directory be copied.
bool is_at_rest(const fs::path& directory) {
  auto is_manifest = [](const auto& file) { return file.path().filename().string().starts_with("MANIFEST"); };
  return files_of(directory, ".log").size() == 1 && files_of(directory, ".dbtmp").empty() &&
         std::ranges::count_if(fs::directory_iterator(directory), is_manifest) == 1;
}

// Everything in a directory but RocksDB's lock file, which the check for an open database creates.
std::map<std::string, std::string> contents_of(const fs::path& directory) {
  std::map<std::string, std::string> contents;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().filename() != "LOCK") contents[file.path().filename().string()] = bytes_of(file.path());
  }
  return contents;
}

class RocksJournal : public ::testing::Test {
 protected:
  // Expects that it can't be opened or read for that reason, in a message that names the directory.
  static void expect_refused(const fs::path& at, Errc why, const std::string& words = "") {
    auto state = read(at);
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code, why) << state.error().message;
    EXPECT_THAT(state.error().message, HasSubstr(at.string()));
    EXPECT_THAT(state.error().message, HasSubstr(words));
  }

  // The same; also expects that the attempt changes nothing in the directory.
  static void expect_left_alone(const fs::path& at, Errc why, const std::string& words = "") {
    auto before = contents_of(at);
    ASSERT_NO_FATAL_FAILURE(expect_refused(at, why, words));
    EXPECT_EQ(contents_of(at), before);
  }

  void expect_manifest_flips_refused(const fs::path& image);

  TemporaryDirectory directory;
  const fs::path at = directory / "data";
};

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
void RocksJournal::expect_manifest_flips_refused(const fs::path& image) {
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
    fs::path mine = directory / "copy";
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

// What is left in the log that is being written when a process is killed, and damaged copies of it.
class RocksJournalLog : public RocksJournal {
 protected:
  static constexpr std::size_t kBatches = 30;

  // A directory as a kill leaves it: the journal that made it is still open.
  void SetUp() override {
    journal_ = open_rocks_journal(at).value();
    journal_->load().value();
    ASSERT_TRUE(eventually([&] { return is_at_rest(at); }));  // RocksDB removes in the background what it has replaced
    for (std::size_t i = 0; i < kBatches; ++i) {
      journal_->append({batch({kLease, entry(std::to_string(100 + i), std::string(40, 'v'))})}).value();
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

  // A copy with any one bit of the header of that record flipped.
  void expect_flips_refused(std::size_t record) {
    for (std::size_t bit = record * 8; bit < (record + kRecordHeader) * 8; ++bit) {
      fs::path mine = copy_with(flipped(log_, bit));
      ASSERT_NO_FATAL_FAILURE(expect_refused(mine, Errc::corrupt, "damaged"))
          << "bit " << bit - record * 8 << " of the header at " << record;
    }
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

// One record of the log, whole by its checksum.
std::string as_record(const std::string& payload) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_byte(1);
  crc.process_bytes(payload.data(), payload.size());
  std::uint32_t sum = (crc.checksum() >> 15 | crc.checksum() << 17) + 0xA282EAD8;
  std::string record;
  for (int shift = 0; shift < 32; shift += 8) record += static_cast<char>(sum >> shift);
  record += static_cast<char>(payload.size());
  record += static_cast<char>(payload.size() >> 8);
  return record + '\1' + payload;
}

// The first 12 bytes of a batch: the number of its first write, and how many there are.
std::string batch_header(std::uint64_t sequence, std::uint32_t count) {
  std::string header;
  for (int shift = 0; shift < 64; shift += 8) header += static_cast<char>(sequence >> shift);
  for (int shift = 0; shift < 32; shift += 8) header += static_cast<char>(count >> shift);
  return header;
}

// Clients choose what stands in a value, so what is torn there may look like anything.
TEST_F(RocksJournalLog, ATornTailMayHoldWhatLooksLikeABatch) {
  const std::string genuine = log_.substr(ends_[9], ends_[10] - ends_[9]);
  const std::string put("\1\3e/x\1v\3\1\xff", 10);
  // Each batch of the fixture has 3 writes, and the directory begins with one or two.
  constexpr std::uint64_t kSoon = 3 * kBatches + 20;
  const std::vector<std::string> planted = {genuine,
                                            genuine + genuine,
                                            as_record(std::string(40, '\1')),
                                            as_record(batch_header(1'000'000'000, 1) + put),
                                            as_record(batch_header(kSoon, 2) + put),
                                            as_record(batch_header(kSoon, 1) + put + "more")};
  std::size_t whole = kBatches;
  for (const std::string& bytes : planted) {
    std::string value = std::string(100, 'v') + bytes + std::string(100, 'v');
    journal_->append({batch({entry("planted" + std::to_string(whole), value)})}).value();
    const std::string log = bytes_of(log_of(at));
    auto state = read(copy_with(log.substr(0, log.size() - 50)));
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_THAT(state->entries, SizeIs(whole));
    ++whole;
  }
  // Proves that the batch was really planted: this one fits in every way.
  std::string fits = std::string(100, 'v') + as_record(batch_header(kSoon + 3 * planted.size(), 1) + put);
  journal_->append({batch({entry("fits", fits + std::string(100, 'v'))})}).value();
  const std::string log = bytes_of(log_of(at));
  expect_refused(copy_with(log.substr(0, log.size() - 50)), Errc::corrupt, "damaged");
}

TEST_F(RocksJournalLog, SafetyR13_AFlippedByteInTheMiddleIsRefused) {
  // Every byte of a batch with its header.
  for (std::size_t i = ends_[9]; i < ends_[10]; ++i) {
    std::string damaged = log_;
    damaged[i] = static_cast<char>(~damaged[i]);
    ASSERT_NO_FATAL_FAILURE(expect_refused(copy_with(damaged), Errc::corrupt, "damaged")) << "byte " << i - ends_[9];
  }
}

// With some of these RocksDB by itself opens, but without this batch and those after it.
TEST_F(RocksJournalLog, SafetyR13_AFlippedBitInTheHeaderOfABatchIsRefused) {
  for (std::size_t batch : {std::size_t{0}, std::size_t{10}, kBatches - 1}) {
    expect_flips_refused(batch == 0 ? 0 : ends_[batch - 1]);
  }
}

// A small one that crosses into another block, so that it is two records.
TEST_F(RocksJournalLog, SafetyR13_AFlippedBitInAHeaderOfALastBatchThatCrossesABlockIsRefused) {
  constexpr std::size_t kRoom = 300;
  std::size_t so_far = bytes_of(log_of(at)).size();
  ASSERT_LT(so_far, kBlock - 2 * kRoom);
  journal_->append({batch({entry("filler", std::string(kBlock - kRoom - so_far, 'v'))})}).value();
  std::size_t begin = bytes_of(log_of(at)).size();
  ASSERT_LT(begin, kBlock);
  journal_->append({batch({entry("last", std::string(kRoom, 'v'))})}).value();
  log_ = bytes_of(log_of(at));
  std::vector<std::size_t> records = records_of(log_, begin);
  ASSERT_THAT(records, SizeIs(2));
  for (std::size_t record : records) expect_flips_refused(record);
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
      journal_->append({batch({entry("big" + std::to_string(i), std::string(100'000, 'v'))})}).value();
      ends_.push_back(bytes_of(log_of(at)).size());
    }
    log_ = bytes_of(log_of(at));
  }
};

TEST_F(RocksJournalLongLog, IsNotDamaged) {
  EXPECT_EQ(check_log(log_).end, LogEnd::whole);
  EXPECT_THAT(read(copy_with(log_)).value().entries, SizeIs(kBatches + 4));
}

TEST_F(RocksJournalLongLog, SafetyR13_AFlippedBitInAHeaderOfTheLastBatchIsRefused) {
  std::vector<std::size_t> records = records_of(log_, ends_[kBatches + 2]);
  ASSERT_GE(records.size(), 4U);
  for (std::size_t record : records) expect_flips_refused(record);
}

TEST_F(RocksJournalLongLog, ATornTailIsNotDamage) {
  for (std::size_t left = log_.size(); left > ends_[kBatches + 1]; left -= 997) {
    EXPECT_NE(check_log(log_.substr(0, left)).end, LogEnd::damaged) << left;
  }
}

// This is a torn tail too, but RocksDB does not report it as one: it opens neither with the batch nor without.
TEST_F(RocksJournalLongLog, ALastBatchOfWhichOnlyLaterPagesReachedTheDiskIsRefused) {
  std::string torn = log_;
  torn.replace(ends_[kBatches + 2], 50'000, 50'000, '\0');

  EXPECT_EQ(check_log(torn).end, LogEnd::torn);
  expect_refused(copy_with(torn), Errc::corrupt, "damaged");
}

// The file had grown already, but the pages at its end were not on the disk yet.
TEST_F(RocksJournalLongLog, ALastBatchThatEndsInPagesOfZerosIsTorn) {
  constexpr std::size_t kPage = 4096;
  for (std::size_t from = log_.size() / kPage * kPage; from > ends_[kBatches + 2]; from -= kPage) {
    std::string torn = log_.substr(0, from) + std::string(log_.size() - from, '\0');
    fs::path mine = copy_with(torn);
    auto state = read(mine);
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_THAT(state->entries, SizeIs(kBatches + 3)) << from;
    write(mine, {batch({entry("later")})});
    EXPECT_THAT(read(mine).value().entries, SizeIs(kBatches + 4)) << from;
  }
}

// The same with a lost page that held only a few bytes of the batch.
TEST_F(RocksJournalLog, ALastBatchThatLostAPageOfAFewBytesIsTorn) {
  constexpr std::size_t kPage = 4096;
  std::size_t whole = kBatches;
  for (std::size_t beyond : {1U, 2U, 3U, 4U, 40U, 200U}) {
    auto size = [&] { return bytes_of(log_of(at)).size(); };
    // Each further byte of a value is one further byte of log if its length takes two bytes, as for all values here.
    std::size_t before = size();
    journal_->append({batch({entry("p" + std::to_string(beyond), std::string(1000, 'v'))})}).value();
    std::size_t fixed = size() - before - 1000;
    ++whole;
    std::size_t border = (size() + fixed + 200 + kPage - 1) / kPage * kPage;
    std::size_t value = border + beyond - size() - fixed;
    journal_->append({batch({entry("q" + std::to_string(beyond), std::string(value, 'v'))})}).value();
    std::string torn = bytes_of(log_of(at));
    ASSERT_EQ(torn.size(), border + beyond);
    torn.replace(border, beyond, beyond, '\0');

    auto state = read(copy_with(torn));

    ASSERT_TRUE(state) << beyond << ": " << state.error().message;
    EXPECT_THAT(state->entries, SizeIs(whole)) << beyond;
    ++whole;
  }
}

// But a last batch with a changed byte is refused, even if its value ends in more than a page of zeros.
TEST_F(RocksJournalLog, SafetyR13_AFlippedByteInALastBatchThatEndsInZerosIsRefused) {
  journal_->append({batch({entry("zeros", std::string(100, 'v') + std::string(10'000, '\0'))})}).value();
  std::string damaged = bytes_of(log_of(at));
  damaged[log_.size() + 60] = static_cast<char>(~damaged[log_.size() + 60]);
  expect_refused(copy_with(damaged), Errc::corrupt, "damaged");
}

TEST_F(RocksJournalLongLog, SafetyR13_DamageBeforeABatchInALaterBlockIsDamage) {
  for (std::size_t batch : {std::size_t{5}, kBatches, kBatches + 1}) {
    std::string damaged = log_;
    damaged[ends_[batch] + 5] = '\x7f';
    damaged[ends_[batch] + 4] = '\xff';
    EXPECT_EQ(check_log(damaged).end, LogEnd::damaged) << batch;
  }
}

}  // namespace
}  // namespace sharedlock::test
