#include "base/crash_line.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/elf_functions.h"
#include "base/hex.h"

namespace sharedlock {

CrashText& CrashText::add(std::string_view text) {
  std::size_t fits = std::min(text.size(), text_.size() - size_);
  std::memcpy(text_.data() + size_, text.data(), fits);
  size_ += fits;
  return *this;
}

CrashText& CrashText::add_plain(std::string_view text) {
  for (char byte : text) {
    bool plain = byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
    char written = plain ? byte : (byte == '"' ? '\'' : '?');
    add({&written, 1});
  }
  return *this;
}

CrashText& CrashText::add_hex(std::uintptr_t number) {
  std::array<char, 2 * sizeof number> digits{};
  std::size_t first = digits.size();
  do {
    digits[--first] = kHexDigits[number % 16];
    number /= 16;
  } while (number != 0);
  return add("0x").add({digits.data() + first, digits.size() - first});
}

CrashText& CrashText::add_number(std::int64_t number, int width) {
  if (number < 0) add("-");
  std::uint64_t left = number < 0 ? ~static_cast<std::uint64_t>(number) + 1 : static_cast<std::uint64_t>(number);
  std::array<char, 20> digits{};
  std::size_t first = digits.size();
  do {
    digits[--first] = static_cast<char>('0' + left % 10);
    left /= 10;
  } while (left != 0);
  while (first > 0 && digits.size() - first < static_cast<std::size_t>(width)) digits[--first] = '0';
  return add({digits.data() + first, digits.size() - first});
}

CrashText& CrashText::add_time(WallTime time) {
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  add_number(static_cast<int>(date.year()), 4).add("-");
  add_number(static_cast<unsigned>(date.month()), 2).add("-");
  add_number(static_cast<unsigned>(date.day()), 2).add("T");
  add_number(clock.hours().count(), 2).add(":").add_number(clock.minutes().count(), 2).add(":");
  return add_number(clock.seconds().count(), 2).add(".").add_number(clock.subseconds().count(), 3).add("Z");
}

FrameNames::FrameNames(const Backtrace& backtrace, FunctionNames form) {
  for (std::uintptr_t address : backtrace) {
    frames_[count_].address = address;
    find_file(frames_[count_++]);
  }
  for (std::size_t i = 0; i < count_; ++i) {
    const char* file = frames_[i].file;
    auto same = [file](const Frame& frame) { return frame.file == file; };
    bool first_of_file = std::none_of(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(i), same);
    if (form != FunctionNames::none && file != nullptr && first_of_file) name_all_of(file, form);
  }
}

// Uses the dynamic linker's table that needs no lock.
void FrameNames::find_file(Frame& frame) {
  dl_find_object found{};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the question is about an address
  if (::_dl_find_object(reinterpret_cast<void*>(frame.address), &found) != 0) return;
  frame.file = found.dlfo_link_map->l_name;
  frame.base = found.dlfo_link_map->l_addr;
}

void FrameNames::name_all_of(const char* file, FunctionNames form) {
  const ElfFunctions functions(*file == '\0' ? "/proc/self/exe" : file);
  functions.each([&](const ElfFunctions::Function& function) {
    for (Frame& frame : frames_) {
      std::uintptr_t address = frame.address - frame.base;
      if (frame.file != file || address < function.begin || address - function.begin >= function.size) continue;
      const char* name = functions.names().data() + function.name;
      char* plain = form == FunctionNames::plain ? abi::__cxa_demangle(name, nullptr, nullptr, nullptr) : nullptr;
      const char* shown = plain != nullptr ? plain : name;
      std::size_t fits = std::min(std::strlen(shown), frame.name.size() - 1);
      std::memcpy(frame.name.data(), shown, fits);
      frame.name[fits] = '\0';
      std::free(plain);
    }
  });
}

void FrameNames::add_to(CrashText& line, std::size_t frame) const {
  const Frame& shown = frames_[frame];
  if (shown.file != nullptr && *shown.file != '\0') {
    const char* slash = std::strrchr(shown.file, '/');
    line.add_plain(slash != nullptr ? slash + 1 : shown.file).add(":");
  }
  line.add_plain(shown.name.data()).add("@").add_hex(shown.address - shown.base);
}

void write_patiently(int fd, std::string_view text) {
  using Steady = std::chrono::steady_clock;
  constexpr int kLookAgainMs = 50;
  auto give_up = Steady::now() + std::chrono::seconds(1);
  while (!text.empty() && Steady::now() < give_up) {
    pollfd descriptor{.fd = fd, .events = POLLOUT, .revents = 0};
    int ready = ::poll(&descriptor, 1, kLookAgainMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    // A writable pipe takes this much without blocking.
    ssize_t written = ready > 0 ? ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF)) : -1;
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace sharedlock
