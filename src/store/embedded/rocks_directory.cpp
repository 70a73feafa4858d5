#include "store/embedded/rocks_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "store/embedded/rocks_log_check.h"

namespace sharedlock {

namespace {

namespace fs = std::filesystem;

std::error_code last_error() {
  return {errno, std::generic_category()};
}

std::error_code sync_directory(const fs::path& directory) {
  std::error_code failed;
  int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0 || ::fsync(handle) != 0) failed = last_error();
  if (handle >= 0) ::close(handle);
  return failed;
}

std::error_code cut_off(const fs::path& file, std::size_t length) {
  std::error_code failed;
  int handle = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  bool done = handle >= 0 && ::ftruncate(handle, static_cast<off_t>(length)) == 0 && ::fsync(handle) == 0;
  if (!done) failed = last_error();
  if (handle >= 0) ::close(handle);
  return failed;
}

// What an interrupted first start leaves, and what file systems put into an empty directory.
bool may_be_in_a_new_one(const std::string& name) {
  for (std::string_view beginning : {"LOCK", "IDENTITY", "MANIFEST-", "OPTIONS-", "lost+found", "."}) {
    if (name.starts_with(beginning)) return true;
  }
  return name.ends_with(".dbtmp");
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& file : fs::directory_iterator(directory, failed)) names.push_back(file.path().filename().string());
  std::ranges::sort(names);
  return names;
}

Error damaged(const fs::path& directory, const std::string& why) {
  return {Errc::corrupt, "the data directory " + directory.string() + " is damaged: " + why};
}

bool has_tables(const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [](const std::string& name) { return name.ends_with(".sst"); });
}

// RocksDB takes a directory without CURRENT for a new one, and removes files with its own names.
Result<void> check_new(const fs::path& directory) {
  std::vector<std::string> names = names_in(directory);
  if (has_tables(names) || !logs_in(directory).empty()) return damaged(directory, "the file CURRENT is missing");
  auto other = std::ranges::find_if_not(names, may_be_in_a_new_one);
  if (other == names.end()) return {};
  return Error{Errc::unavailable, "the data directory " + directory.string() + " is not one of shared-lock: it holds " +
                                      *other + "; name an empty directory, or one that is to be made"};
}

Result<void> check_log_of(const fs::path& directory, const fs::path& log) {
  LogCheck checked = check_log_file(log);
  if (checked.end == LogEnd::damaged) {
    return damaged(directory, "a record in the middle of " + log.filename().string() + " can't be read");
  }
  if (checked.end != LogEnd::zero_page) return {};
  std::error_code failed = cut_off(log, checked.whole);
  if (!failed) return {};
  return Error{Errc::unavailable, "can't cut off the torn end of " + log.string() + ": " + failed.message()};
}

// RocksDB takes some damage to the log for its end, and then opens with an older state.
Result<void> check_manifest_of(const fs::path& directory) {
  std::ifstream current(directory / "CURRENT");
  std::string name;
  std::getline(current, name);
  if (check_manifest_file(directory / name).end != LogEnd::damaged) return {};
  return damaged(directory, "a record of " + name + " can't be read");
}

}  // namespace

std::error_code make_directories(const fs::path& directory) {
  std::error_code failed;
  fs::path wanted = fs::absolute(directory, failed);
  if (failed || fs::is_directory(wanted, failed)) return failed;
  fs::path parent = wanted.parent_path();
  if (parent != wanted) failed = make_directories(parent);
  if (failed) return failed;
  // Nothing is created if the path ends in a slash: its parent is then the directory itself.
  bool made = fs::create_directory(wanted, failed);
  return made ? sync_directory(parent) : failed;
}

bool holds_journal(const fs::path& directory) {
  std::error_code failed;
  return fs::exists(directory / "CURRENT", failed);
}

Result<void> check_directory(const fs::path& directory) {
  if (!holds_journal(directory)) return check_new(directory);
  std::vector<fs::path> logs = logs_in(directory);
  // Without a log RocksDB assumes that the last writes are all in tables; but there is always one, even if empty. Only
  // a first start may have been cut short before its log was made: its first write goes into a table before it ends.
  if (logs.empty() && has_tables(names_in(directory)))
    return damaged(directory, "its log (a file of digits and .log) is missing");
  for (const fs::path& log : logs) {
    if (auto checked = check_log_of(directory, log); !checked) return checked;
  }
  return check_manifest_of(directory);
}

}  // namespace sharedlock
