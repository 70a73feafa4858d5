#include "crash/wal_file.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sharedlock::test {

namespace {

constexpr std::size_t kBlock = 32768;

std::uint32_t crc32c(std::string_view text) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
  }
  return ~crc;
}

// Checksums are stored so that a checksum of data with checksums in it is still a good one.
std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

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

void WalFile::replace(std::string_view from, std::string_view to) {
  for (const Record& record : records()) {
    std::size_t found = bytes_.find(from, record.payload());
    if (found == std::string::npos || found + from.size() > record.end()) continue;
    bytes_.replace(found, from.size(), to);
    std::string_view checked = std::string_view(bytes_).substr(record.payload() - 1, record.length + 1);
    std::uint32_t checksum = masked(crc32c(checked));
    for (std::size_t i = 0; i < 4; ++i) bytes_[record.at + i] = static_cast<char>(checksum >> (8 * i) & 0xFF);
    return;
  }
  throw std::runtime_error("not in " + path_.string());
}

void WalFile::save() const {
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes_;
}

}  // namespace sharedlock::test
