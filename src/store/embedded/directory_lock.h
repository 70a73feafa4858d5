#pragma once

#include <filesystem>

namespace sharedlock {

// Keeps other DirectoryLocks, in this process and in others, out of a directory until it is destroyed. RocksDB takes
// its own lock only when it opens the database, so two servers that start at once would first read each other's
// half-made files. Leaves nothing in the directory, so a copy of it, or another program's directory, stays unchanged.
// On a file system without such locks every attempt succeeds; only RocksDB's own lock remains.
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
