#include "store/rocks_log_check.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>

namespace sharedlock {

namespace {

constexpr std::size_t kBlockSize = 32 << 10;
constexpr std::size_t kHeaderSize = 7;

// A batch is one full record, or a first one, middle ones and a last one.
enum class Type : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

struct Header {
  std::uint32_t checksum;
  std::size_t length;
  std::uint8_t type;
};

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

Header header_at(std::string_view log, std::size_t at) {
  std::uint32_t checksum = 0;
  for (std::size_t i = 4; i-- > 0;) checksum = checksum << 8 | byte_at(log, at + i);
  std::size_t length = byte_at(log, at + 4) | byte_at(log, at + 5) << 8;
  return {checksum, length, static_cast<std::uint8_t>(byte_at(log, at + 6))};
}

std::uint32_t checksum_of(std::uint8_t type, std::string_view payload) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_byte(type);
  crc.process_bytes(payload.data(), payload.size());
  std::uint32_t sum = crc.checksum();
  return (sum >> 15 | sum << 17) + 0xA282EAD8;
}

bool begins_a_batch(std::uint8_t type) {
  return type == static_cast<std::uint8_t>(Type::full) || type == static_cast<std::uint8_t>(Type::first);
}

std::size_t end_of_block(std::string_view log, std::size_t at) {
  return std::min(log.size(), (at / kBlockSize + 1) * kBlockSize);
}

// The record there, when it is whole.
std::optional<Header> whole_record_at(std::string_view log, std::size_t at) {
  std::size_t end = end_of_block(log, at);
  if (at + kHeaderSize > end) return std::nullopt;
  Header header = header_at(log, at);
  bool known =
      header.type >= static_cast<std::uint8_t>(Type::full) && header.type <= static_cast<std::uint8_t>(Type::last);
  if (!known || at + kHeaderSize + header.length > end) return std::nullopt;
  bool matches = checksum_of(header.type, log.substr(at + kHeaderSize, header.length)) == header.checksum;
  return matches ? std::optional(header) : std::nullopt;
}

// Follows the records from `at`, which begins one, to the end of the log or to the first one that is not whole; calls
// `visit` for each and ends early when that says so.
template <class Visit>
std::size_t follow(std::string_view log, std::size_t at, std::size_t end, Visit visit) {
  while (at < end) {
    std::size_t block_end = (at / kBlockSize + 1) * kBlockSize;
    if (at + kHeaderSize > block_end) {  // too short for a record: filled with zeros
      at = block_end;
      continue;
    }
    auto record = whole_record_at(log, at);
    if (!record || visit(*record)) break;
    at += kHeaderSize + record->length;
  }
  return std::min(at, log.size());
}

// Whether the record that is not whole would be, had it another length or type: that of a record which ends the log.
bool only_its_header_is_damaged(std::string_view log, std::size_t at) {
  if (at + kHeaderSize >= log.size() || log.size() > end_of_block(log, at)) return false;
  std::uint32_t checksum = header_at(log, at).checksum;
  std::string_view payload = log.substr(at + kHeaderSize);
  for (std::uint8_t type = 1; type <= 4; ++type) {
    if (checksum_of(type, payload) == checksum) return true;
  }
  return false;
}

// Whether a batch begins behind `at`, where a record is not whole. Where the next record begins is not known, except at
// the next block.
bool a_batch_begins_behind(std::string_view log, std::size_t at) {
  std::size_t end = end_of_block(log, at);
  for (std::size_t i = at + 1; i + kHeaderSize < end; ++i) {
    if (!begins_a_batch(static_cast<std::uint8_t>(byte_at(log, i + 6)))) continue;
    auto record = whole_record_at(log, i);
    if (record && record->length > 0) return true;
  }
  bool found = false;
  auto is_beginning = [&](const Header& record) { return found = record.length > 0 && begins_a_batch(record.type); };
  for (std::size_t block = end; block < log.size() && !found; block += kBlockSize) {
    follow(log, block, end_of_block(log, block), is_beginning);
  }
  return found;
}

}  // namespace

bool is_damaged_log(std::string_view log) {
  std::size_t at = follow(log, 0, log.size(), [](const Header&) { return false; });
  if (at == log.size()) return false;
  return only_its_header_is_damaged(log, at) || a_batch_begins_behind(log, at);
}

std::optional<std::string> find_damaged_log(const std::filesystem::path& directory) {
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(directory, failed)) {
    if (file.path().extension() != ".log") continue;
    std::ifstream in(file.path(), std::ios::binary);
    const std::string log(std::istreambuf_iterator<char>(in), {});
    if (is_damaged_log(log)) return file.path().filename().string();
  }
  return std::nullopt;
}

}  // namespace sharedlock
