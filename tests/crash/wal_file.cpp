#include "crash/wal_file.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sharedlock::test {

namespace {

constexpr std::size_t kBlock = 32768;
std::filesystem::path newest_log(const std::filesystem::path& directory) {
  std::filesystem::path newest;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() == ".log" && file.path().filename() > newest.filename()) newest = file.path();
  }
  if (newest.empty()) throw std::runtime_error("no write-ahead log in " + directory.string());
  return newest;
}

}  // namespace

WalFile::WalFile(const std::filesystem::path& directory) : path_(newest_log(directory)) {
  std::ifstream file(path_, std::ios::binary);
  bytes_.assign(std::istreambuf_iterator<char>(file), {});
}

std::vector<WalFile::Record> WalFile::records() const {
  std::vector<Record> found;
  std::size_t at = 0;
  while (at + kHeader <= bytes_.size()) {
    if (kBlock - at % kBlock < kHeader) at += kBlock - at % kBlock;
    if (at + kHeader > bytes_.size()) break;
    auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes_[at + i])); };
    Record record{at, byte(4) | byte(5) << 8};
    if (record.end() > bytes_.size()) break;
    if (record.length > 0) found.push_back(record);
    at = record.end();
  }
  return found;
}

void WalFile::save() const {
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes_;
}

}  // namespace sharedlock::test
