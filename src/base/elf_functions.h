#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sharedlock {

// The functions that the file of a program or library names: by its symbol table or, if that was stripped, by its
// exports. Allocates nothing and takes no lock, so it may be used in a signal handler. Not thread-safe.
class ElfFunctions {
 public:
  struct Function {
    std::uintptr_t begin;  // relative to the file
    std::uintptr_t size;
    std::uint32_t name;  // its offset in names()
  };

  // A file that can't be read, or is not ELF, has no names.
  explicit ElfFunctions(const char* path);
  ElfFunctions(const ElfFunctions&) = delete;
  ElfFunctions& operator=(const ElfFunctions&) = delete;
  ~ElfFunctions();

  // All names, each ended by a NUL; valid as long as this object lives.
  std::string_view names() const { return names_; }

  // Calls `visit(Function)` for each, in no particular order.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < count_; ++i) {
      Function function{};
      if (read(i, function)) visit(function);
    }
  }

 private:
  void find_table(std::string_view file);
  bool read(std::size_t index, Function& function) const;

  void* data_;
  std::size_t size_ = 0;
  std::string_view table_;
  std::size_t count_ = 0;
  std::string_view names_;
};

}  // namespace sharedlock
