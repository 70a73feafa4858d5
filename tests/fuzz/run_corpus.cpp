// The main of a fuzzer that is built without libFuzzer: tries each file below the folders and files named on the
// command line, once. What a fuzzer has found stays found with every compiler and sanitizer.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/target.h"

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

void try_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  // A copy of exactly its size, so that sanitizers see a read past the end.
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  std::printf("%s: %zu bytes\n", path.c_str(), bytes.size());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t tried = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& path : files_in(argv[i])) {
      try_file(path);
      ++tried;
    }
  }
  std::printf("%zu inputs\n", tried);
  return tried > 0 ? 0 : 1;  // a corpus that was lost tests nothing
}
