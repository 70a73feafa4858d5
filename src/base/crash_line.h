#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/backtrace.h"
#include "base/clock.h"

namespace sharedlock {

// One line of text of limited length, built without allocating and without a lock. What does not fit is cut off inside
// a value, so a JSON line stays JSON.
class CrashText {
 public:
  std::string_view text() const { return {text_.data(), size_}; }
  void clear() { size_ = 0; }
  bool has_room_for(std::size_t bytes) const { return text_.size() - size_ >= bytes; }

  CrashText& add(std::string_view text);
  CrashText& add_hex(std::uintptr_t number);                  // "0x1f"
  CrashText& add_number(std::int64_t number, int width = 1);  // with zeros before it
  CrashText& add_time(WallTime time);                         // RFC 3339 in UTC with milliseconds

  // The same, escaped for use inside a JSON string; everything but plain ASCII becomes '?'.
  CrashText& add_plain(std::string_view text);

 private:
  std::array<char, 16 * 1024> text_{};
  std::size_t size_ = 0;
};

enum class FunctionNames { none, linker, plain };  // plain ones need the heap

// The names of the functions of a backtrace, read from the files of the program and its libraries. Allocates nothing
// and takes no lock, except for plain names. Only the beginning of each name is kept.
class FrameNames {
 public:
  FrameNames(const Backtrace& backtrace, FunctionNames form);

  // Adds "function@0x1f" for the frame, or "library:function@0x1f": the number is the address relative to its file, as
  // addr2line expects it.
  void add_to(CrashText& line, std::size_t frame) const;

  std::size_t size() const { return count_; }

 private:
  struct Frame {
    std::uintptr_t address = 0;
    const char* file = nullptr;  // "" for the program itself; nullptr if unknown
    std::uintptr_t base = 0;
    std::array<char, 160> name{};
  };

  void find_file(Frame& frame);
  void name_all_of(const char* file, FunctionNames form);

  std::array<Frame, Backtrace::kMost> frames_{};
  std::size_t count_ = 0;
};

// Writes all of it to the descriptor, waiting at most a second for a reader that is stuck.
void write_patiently(int fd, std::string_view text);

}  // namespace sharedlock
