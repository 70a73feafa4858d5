#include "store/etcd/rpc/wire.h"

#include <limits>

namespace sharedlock {

namespace {

// The kinds of fields. Groups (3 and 4) were given up before etcd began; protobuf would skip a whole one.
constexpr unsigned kVarint = 0;
constexpr unsigned kFixed64 = 1;
constexpr unsigned kBytes = 2;
constexpr unsigned kFixed32 = 5;

constexpr unsigned kLongestVarint = 10;

}  // namespace

std::optional<WireReader::Field> WireReader::next() {
  if (malformed_ || left_.empty()) return std::nullopt;
  Field field;
  auto tag = varint();
  malformed_ = !tag || *tag > std::numeric_limits<std::uint32_t>::max() || *tag < 8 || !read_value(*tag, field);
  return malformed_ ? std::nullopt : std::optional(field);
}

bool WireReader::read_value(std::uint64_t tag, Field& field) {
  field.number = static_cast<int>(tag >> 3U);
  switch (tag & 7U) {
    case kVarint:
      field.varint = varint();
      return field.varint.has_value();
    case kBytes:
      if (auto size = varint()) field.bytes = take(*size);
      return field.bytes.has_value();
    case kFixed64:
      return take(8).has_value();
    case kFixed32:
      return take(4).has_value();
    default:
      return false;
  }
}

std::optional<std::uint64_t> WireReader::varint() {
  std::uint64_t value = 0;
  for (unsigned read = 0; read < kLongestVarint && read < left_.size(); ++read) {
    auto byte = static_cast<unsigned char>(left_[read]);
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * read);
    if (byte < 0x80) {
      left_.remove_prefix(read + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> WireReader::take(std::uint64_t size) {
  if (size > left_.size()) return std::nullopt;
  std::string_view taken = left_.substr(0, size);
  left_.remove_prefix(size);
  return taken;
}

}  // namespace sharedlock
