#pragma once

#include <filesystem>
#include <string>

#include "support/server_process.h"

namespace sharedlock::test {

// A path for a data directory, below a fresh folder that goes with the object. The directory itself is not made.
class DataDirectory {
 public:
  DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;
  ~DataDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

// What makes a server keep its state there.
ProcessOptions embedded_in(const std::filesystem::path& directory);

}  // namespace sharedlock::test
