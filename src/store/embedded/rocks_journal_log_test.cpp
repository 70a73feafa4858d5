// Torn and damaged logs of a journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "store/embedded/rocks_journal_fixture_test.h"
#include "store/embedded/rocks_log_check.h"
#include "support/eventually.h"

namespace sharedlock::test::rocks {
namespace {

using ::testing::SizeIs;

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
}  // namespace sharedlock::test::rocks
