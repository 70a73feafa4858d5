#include "store/embedded/rocks_log_check.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace sharedlock {

namespace {

constexpr std::size_t kBlockSize = 32 << 10;
constexpr std::size_t kHeaderSize = 7;
constexpr std::size_t kBatchHeaderSize = 12;
constexpr std::size_t kPageSize = 4096;

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

std::uint64_t integer_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | byte_at(bytes, at + i);
  return value;
}

Header header_at(std::string_view log, std::size_t at) {
  return {static_cast<std::uint32_t>(integer_at(log, at, 4)), integer_at(log, at + 4, 2),
          static_cast<std::uint8_t>(byte_at(log, at + 6))};
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

// The record there, if it is whole.
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

std::string_view payload_at(std::string_view log, std::size_t at, const Header& record) {
  return log.substr(at + kHeaderSize, record.length);
}

// Follows the records from `at`, where one begins, to the end of the log or to the first incomplete one; calls `visit`
// with each and its offset, and stops early when that says so.
template <class Visit>
std::size_t follow(std::string_view log, std::size_t at, std::size_t end, Visit visit) {
  while (at < end) {
    std::size_t block_end = (at / kBlockSize + 1) * kBlockSize;
    if (at + kHeaderSize > block_end) {  // too short for a record: filled with zeros
      at = block_end;
      continue;
    }
    auto record = whole_record_at(log, at);
    if (!record || visit(at, *record)) break;
    at += kHeaderSize + record->length;
  }
  return std::min(at, log.size());
}

// Writes are numbered consecutively; a batch contains the number of its first one.
struct BatchHeader {
  std::uint64_t sequence;
  std::uint64_t count;
};
std::optional<BatchHeader> batch_header(std::string_view payload) {
  if (payload.size() < kBatchHeaderSize) return std::nullopt;
  return BatchHeader{integer_at(payload, 0, 8), integer_at(payload, 8, 4)};
}

// The number that the next write would have after the batches seen so far; 0 before the first one.
class Sequence {
 public:
  void see(const Header& record, std::string_view payload) {
    if (begins_a_batch(record.type)) beginning_.clear();
    beginning_ += payload.substr(0, kBatchHeaderSize - beginning_.size());
    bool ends =
        record.type == static_cast<std::uint8_t>(Type::full) || record.type == static_cast<std::uint8_t>(Type::last);
    auto batch = batch_header(beginning_);
    if (ends && batch) next_ = batch->sequence + batch->count;
  }
  std::uint64_t next() const { return next_; }

 private:
  std::string beginning_;  // of the current batch
  std::uint64_t next_ = 0;
};

// Takes a length and that many bytes.
bool skip_text(std::string_view& bytes) {
  std::uint64_t length = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (bytes.empty()) return false;
    std::uint64_t byte = byte_at(bytes, 0);
    bytes.remove_prefix(1);
    length |= (byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  if (length > bytes.size()) return false;
  bytes.remove_prefix(length);
  return true;
}

// Whether that is a batch of puts and erasures with our end marker, and nothing else.
bool has_the_form_of_a_batch(std::string_view payload) {
  constexpr char kErase = 0;
  constexpr char kPut = 1;
  constexpr std::string_view kEnd("\3\1\xff", 3);
  std::uint64_t count = integer_at(payload, 8, 4);
  payload.remove_prefix(kBatchHeaderSize);
  for (; count > 0 && !payload.empty(); --count) {
    char tag = payload.front();
    payload.remove_prefix(1);
    if ((tag != kErase && tag != kPut) || !skip_text(payload)) return false;
    if (tag == kPut && !skip_text(payload)) return false;
  }
  return count == 0 && payload == kEnd;
}

// What stands behind an incomplete record, and the write number reached there.
struct Search {
  std::string_view log;
  std::size_t broken_at;
  std::uint64_t next;
};

// Whether a record at `at`, if it is one, could begin a batch written after the broken one.
bool fits_behind(const Search& search, std::size_t at, const Header& record) {
  if (!begins_a_batch(record.type) || record.length == 0) return false;
  std::size_t end = at + kHeaderSize + record.length;
  bool is_first = record.type == static_cast<std::uint8_t>(Type::first);
  // The first of several records fills its block.
  if (end > search.log.size() || (is_first && end % kBlockSize != 0)) return false;
  std::string_view payload = payload_at(search.log, at, record);
  auto batch = batch_header(payload);
  if (!batch) return is_first;
  // A write takes at least one byte.
  std::uint64_t skipped = batch->sequence - search.next;
  bool follows = search.next == 0 || (batch->sequence > search.next && skipped <= at - search.broken_at);
  return follows && batch->count > 0 && (is_first || has_the_form_of_a_batch(payload));
}

// Whether the incomplete record would be whole with another length or type: that of a record which ends the log.
bool only_its_header_is_damaged(std::string_view log, std::size_t at) {
  if (at + kHeaderSize >= log.size() || log.size() > end_of_block(log, at)) return false;
  std::uint32_t checksum = header_at(log, at).checksum;
  std::string_view payload = log.substr(at + kHeaderSize);
  for (std::uint8_t type = 1; type <= 4; ++type) {
    if (checksum_of(type, payload) == checksum) return true;
  }
  return false;
}

// Whether the incomplete record would be whole with another type: RocksDB takes types 5 to 8 for the end of the log.
bool only_its_type_is_damaged(std::string_view log, std::size_t at) {
  if (at + kHeaderSize > end_of_block(log, at)) return false;
  Header header = header_at(log, at);
  if (at + kHeaderSize + header.length > end_of_block(log, at)) return false;
  for (std::uint8_t type = 1; type <= 4; ++type) {
    if (checksum_of(type, payload_at(log, at, header)) == header.checksum) return true;
  }
  return false;
}

// Whether a whole record of any type begins behind the broken one.
bool a_record_is_behind(std::string_view log, std::size_t broken_at) {
  for (std::size_t i = broken_at + 1; i + kHeaderSize < log.size(); ++i) {
    auto record = whole_record_at(log, i);
    if (record && record->length > 0) return true;
  }
  return false;
}

// Whether a batch begins behind the broken record. The next record's start is unknown, except at the next block.
bool a_batch_begins_behind(const Search& search) {
  const std::string_view log = search.log;
  std::size_t end = end_of_block(log, search.broken_at);
  for (std::size_t i = search.broken_at + 1; i + kHeaderSize < end; ++i) {
    if (fits_behind(search, i, header_at(log, i)) && whole_record_at(log, i)) return true;
  }
  bool found = false;
  auto is_beginning = [&](std::size_t at, const Header& record) { return found = fits_behind(search, at, record); };
  for (std::size_t block = end; block < log.size() && !found; block += kBlockSize) {
    follow(log, block, end_of_block(log, block), is_beginning);
  }
  return found;
}

// Whether everything from the beginning of a page to the end is zeros.
bool ends_in_a_zero_page(std::string_view log) {
  std::size_t last = log.find_last_not_of('\0');
  std::size_t zeros = last == std::string_view::npos ? 0 : last + 1;
  std::size_t page = (zeros + kPageSize - 1) / kPageSize * kPageSize;
  return page < log.size();
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// RocksDB's names: digits, ".log".
bool is_log(const std::filesystem::path& file) {
  std::string stem = file.stem().string();
  return file.extension() == ".log" && !stem.empty() && stem.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

LogCheck check_log(std::string_view log) {
  Sequence sequence;
  auto see = [&](std::size_t at, const Header& record) {
    sequence.see(record, payload_at(log, at, record));
    return false;
  };
  std::size_t at = follow(log, 0, log.size(), see);
  if (at == log.size()) return {LogEnd::whole, at};
  if (only_its_header_is_damaged(log, at) || only_its_type_is_damaged(log, at)) return {LogEnd::damaged, at};
  if (a_batch_begins_behind({log, at, sequence.next()})) return {LogEnd::damaged, at};
  return {ends_in_a_zero_page(log) ? LogEnd::zero_page : LogEnd::torn, at};
}

LogCheck check_manifest(std::string_view manifest) {
  std::size_t at = follow(manifest, 0, manifest.size(), [](std::size_t, const Header&) { return false; });
  if (at == manifest.size()) return {LogEnd::whole, at};
  bool is_damaged = only_its_header_is_damaged(manifest, at) || only_its_type_is_damaged(manifest, at) ||
                    a_record_is_behind(manifest, at);
  return {is_damaged ? LogEnd::damaged : LogEnd::torn, at};
}

std::vector<std::filesystem::path> logs_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> logs;
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(directory, failed)) {
    if (is_log(file.path())) logs.push_back(file.path());
  }
  std::ranges::sort(logs);
  return logs;
}

LogCheck check_log_file(const std::filesystem::path& file) {
  return check_log(bytes_of(file));
}

LogCheck check_manifest_file(const std::filesystem::path& file) {
  return check_manifest(bytes_of(file));
}

}  // namespace sharedlock
