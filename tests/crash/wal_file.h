#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace sharedlock::test {

// RocksDB's write-ahead log, as far as tests damage it: blocks of 32 KiB that hold records, each with a checksum, a
// length and a type before its payload (https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format).
class WalFile {
 public:
  struct Record {
    std::size_t at;      // of its header
    std::size_t length;  // of its payload

    std::size_t payload() const { return at + kHeader; }
    std::size_t end() const { return payload() + length; }
  };
  static constexpr std::size_t kHeader = 7;

  // Reads the newest one in a data directory; no server may be running there. Throws std::runtime_error without any.
  explicit WalFile(const std::filesystem::path& directory);

  // Without those of empty payload.
  std::vector<Record> records() const;

  std::string& bytes() { return bytes_; }

  // Writes the bytes back.
  void save() const;

 private:
  std::filesystem::path path_;
  std::string bytes_;
};

}  // namespace sharedlock::test
