#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The wire format of Protocol Buffers, for messages of which there are so many that building them as objects costs too
// much: https://protobuf.dev/programming-guides/encoding/
namespace sharedlock {

// Appends fields to a message.
class WireWriter {
 public:
  explicit WireWriter(std::string& message) : message_(message) {}

  void number(int field, std::int64_t value) { begin(field, kNumber, static_cast<std::uint64_t>(value)); }

  void bytes(int field, std::string_view value) {
    begin(field, kBytes, value.size());
    message_ += value;
  }

  // A message as a field: `write()` appends its fields to the same string.
  template <class Write>
  void message(int field, Write write) {
    begin(field, kBytes, 0);
    std::size_t start = message_.size();
    write();
    Varints size;
    size.add(message_.size() - start);
    message_[start - 1] = size.bytes[0];
    if (size.size > 1) message_.insert(start, size.bytes.data() + 1, size.size - 1);
  }

 private:
  static constexpr unsigned kNumber = 0;
  static constexpr unsigned kBytes = 2;

  struct Varints {  // at most two
    void add(std::uint64_t value) {
      for (; value >= 0x80; value >>= 7U) bytes[size++] = static_cast<char>(value | 0x80U);
      bytes[size++] = static_cast<char>(value);
    }

    std::array<char, 20> bytes{};
    std::size_t size = 0;
  };

  // `value`: the field's own, or the number of bytes that follow.
  void begin(int field, unsigned kind, std::uint64_t value) {
    Varints both;
    both.add(static_cast<std::uint64_t>(field) << 3U | kind);
    both.add(value);
    message_.append(both.bytes.data(), both.size);
  }

  std::string& message_;
};

// Reads one field of a message after another. What is in a message must outlive what is read of it.
class WireReader {
 public:
  struct Field {
    int number = 0;
    std::optional<std::uint64_t> varint;    // its value, if that is of this kind,
    std::optional<std::string_view> bytes;  // or of this one; neither: of a kind that is skipped
  };

  explicit WireReader(std::string_view message) : left_(message) {}

  // Nothing: the message has ended, or is malformed.
  std::optional<Field> next();

  bool is_malformed() const { return malformed_; }

 private:
  std::optional<std::uint64_t> varint();
  std::optional<std::string_view> take(std::uint64_t size);
  bool read_value(std::uint64_t tag, Field& field);

  std::string_view left_;
  bool malformed_ = false;
};

}  // namespace sharedlock
