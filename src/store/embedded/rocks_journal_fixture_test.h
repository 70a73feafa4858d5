#pragma once

// Journals on RocksDB, what is written to them and read again, and their files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "contract/store_client.h"
#include "store/embedded/rocks_journal.h"
#include "support/temporary_directory.h"

namespace sharedlock::test::rocks {

namespace fs = std::filesystem;

inline KeyedEntry entry(std::string key, std::string value = "", std::int64_t lease = 7) {
  return {std::move(key), {std::move(value), LeaseId{lease}, Revision{1}, Revision{2}}};
}
inline const JournalLease kLease{LeaseId{7}, true, Ttl{60}};
inline constexpr Revision kReserved{1000};

inline JournalBatch batch(std::vector<JournalWrite> writes) {
  return {.writes = std::move(writes), .reserved = kReserved};
}

// Opens a journal, loads it, and appends the batches.
inline void write(const fs::path& directory, const std::vector<JournalBatch>& batches) {
  auto journal = open_rocks_journal(directory).value();
  journal->load().value();
  for (const JournalBatch& batch : batches) journal->append({batch}).value();
}

inline Result<JournalState> read(const fs::path& directory) {
  auto journal = open_rocks_journal(directory);
  if (!journal) return journal.error();
  return (*journal)->load();
}

inline std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void put_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string flipped(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

// A record of a log or manifest: a checksum (4 bytes), a length (2), a type (1), the payload.
inline constexpr std::size_t kBlock = 32 << 10;
inline constexpr std::size_t kLengthAt = 4;
inline constexpr std::size_t kRecordHeader = 7;

// Where the records from `begin` on start; all must be whole.
inline std::vector<std::size_t> records_of(const std::string& log, std::size_t begin = 0) {
  std::vector<std::size_t> records;
  for (std::size_t i = begin; i < log.size();) {
    if (std::size_t left = kBlock - i % kBlock; left < kRecordHeader) i += left;
    records.push_back(i);
    auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(log[at])); };
    i += kRecordHeader + byte(i + kLengthAt) + byte(i + kLengthAt + 1) * 256;
  }
  return records;
}

inline std::vector<fs::path> files_of(const fs::path& directory, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().extension() == extension) files.push_back(file.path());
  }
  return files;
}

// Whether RocksDB's background thread has deleted its obsolete files. Only then can an open directory be copied.
inline bool is_at_rest(const fs::path& directory) {
  auto is_manifest = [](const auto& file) { return file.path().filename().string().starts_with("MANIFEST"); };
  return files_of(directory, ".log").size() == 1 && files_of(directory, ".dbtmp").empty() &&
         std::ranges::count_if(fs::directory_iterator(directory), is_manifest) == 1;
}

// Everything in a directory but RocksDB's lock file, which the check for an open database creates.
inline std::map<std::string, std::string> contents_of(const fs::path& directory) {
  std::map<std::string, std::string> contents;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().filename() != "LOCK") contents[file.path().filename().string()] = bytes_of(file.path());
  }
  return contents;
}

// Expects that it can't be opened or read for that reason, in a message that names the directory.
inline void expect_refused(const fs::path& at, Errc why, const std::string& words = "") {
  auto state = read(at);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, why) << state.error().message;
  EXPECT_THAT(state.error().message, ::testing::HasSubstr(at.string()));
  EXPECT_THAT(state.error().message, ::testing::HasSubstr(words));
}

// The same; also expects that the attempt changes nothing in the directory.
inline void expect_left_alone(const fs::path& at, Errc why, const std::string& words = "") {
  auto before = contents_of(at);
  ASSERT_NO_FATAL_FAILURE(expect_refused(at, why, words));
  EXPECT_EQ(contents_of(at), before);
}

class RocksJournal : public ::testing::Test {
 protected:
  TemporaryDirectory directory;
  const fs::path at = directory / "data";
};

}  // namespace sharedlock::test::rocks
