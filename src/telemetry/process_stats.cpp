#include "telemetry/process_stats.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace sharedlock {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::optional<double> cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Newer kernels give the number as the directory's size, at once; else each entry is counted.
std::optional<std::uint64_t> open_fds() {
  struct stat facts{};
  if (::stat("/proc/self/fd", &facts) == 0 && facts.st_size > 0) return static_cast<std::uint64_t>(facts.st_size);
  std::error_code failed;
  std::filesystem::directory_iterator entries("/proc/self/fd", failed);
  std::uint64_t count = 0;
  for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) ++count;
  if (failed || count == 0) return std::nullopt;
  return count - 1;  // without the one used to read the directory
}

std::optional<std::uint64_t> max_fds() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return limit.rlim_cur;
}

// When the machine started, in seconds since 1970.
std::optional<double> boot_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  while (file >> word) {
    double value = 0;
    if (word == "btime" && file >> value) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

// The wanted numbers of /proc/self/stat, see proc(5).
struct StatFields {
  std::optional<std::uint64_t> threads;
  std::optional<std::uint64_t> start_ticks;  // since the machine started
  std::optional<std::uint64_t> virtual_bytes;
  std::optional<std::uint64_t> resident_pages;
};

StatFields read_stat(int file) {
  std::array<char, 2048> bytes;
  ssize_t size = ::pread(file, bytes.data(), bytes.size(), 0);
  std::string_view text(bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  StatFields fields;
  // The program's name, which may hold anything, is the second field and ends at the last parenthesis.
  std::size_t at = text.rfind(')');
  for (int number = 3; at != std::string_view::npos && (at = text.find(' ', at)) != std::string_view::npos; ++number) {
    auto value = parse_number(text.substr(++at));
    if (number == 20) fields.threads = value;
    if (number == 22) fields.start_ticks = value;
    if (number == 23) fields.virtual_bytes = value;
    if (number == 24) fields.resident_pages = value;
  }
  return fields;
}

}  // namespace

// The start is computed once: the kernel gets the machine's from the wall clock, and a start that moves looks like a
// restart.
ProcessStatsReader::ProcessStatsReader() : stat_file_(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) {
  auto boot = boot_seconds();
  auto ticks = read_stat(stat_file_).start_ticks;
  if (!boot || !ticks) return;
  start_seconds_ = *boot + static_cast<double>(*ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

ProcessStatsReader::~ProcessStatsReader() {
  if (stat_file_ >= 0) ::close(stat_file_);
}

ProcessStats ProcessStatsReader::read() const {
  StatFields fields = read_stat(stat_file_);
  ProcessStats stats;
  stats.cpu_seconds = cpu_seconds();
  if (fields.resident_pages) {
    stats.resident_bytes = *fields.resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  stats.virtual_bytes = fields.virtual_bytes;
  stats.open_fds = open_fds();
  stats.max_fds = max_fds();
  stats.threads = fields.threads;
  stats.start_seconds = start_seconds_;
  return stats;
}

}  // namespace sharedlock
