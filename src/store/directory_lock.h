#pragma once

#include <filesystem>

namespace sharedlock {

// Keeps others who take the same lock out of a directory, in this process and in others, until it is destroyed.
// RocksDB's own lock is taken only when the database is opened, so two that start at once would look at each other's
// half-made files before. Leaves nothing in the directory, so that a copy of it, or another's directory, is as it was.
// Where a file system has no such locks everybody gets one: RocksDB's is left.
class DirectoryLock {
 public:
  // Tries once, without waiting.
  explicit DirectoryLock(const std::filesystem::path& directory);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

  bool is_taken_by_another() const { return taken_by_another_; }

 private:
  int handle_;
  bool taken_by_another_ = false;
};

}  // namespace sharedlock
