#include "crash/data_directory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

namespace sharedlock::test {

DataDirectory::DataDirectory() {
  std::string name = testing::TempDir() + "shared-lock-data-XXXXXX";
  if (!::mkdtemp(name.data())) throw std::runtime_error("can't make a temporary folder " + name);
  folder_ = name;
  path_ = folder_ / "data";
}

DataDirectory::~DataDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

ProcessOptions embedded_in(const std::filesystem::path& directory) {
  return {.environment = ServerProcess::open_memory(
              {{"SHARED_LOCK_STORAGE_TYPE", "embedded"}, {"SHARED_LOCK_DATA_DIR", directory.string()}})};
}

}  // namespace sharedlock::test
