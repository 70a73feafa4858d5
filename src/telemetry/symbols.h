#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sharedlock {

// The names of this process's functions by address: the program's own from its symbol table, including those that it
// does not export; of shared libraries the exported ones. Immutable after construction, so safe to use from every
// thread.
class Symbols {
 public:
  // Reads the program's own file, some megabytes. Without a symbol table (a stripped program) its functions have no
  // names.
  Symbols();

  // How many functions of the program have a name.
  std::size_t size() const { return functions_.size(); }

  // The function that contains the address, as C++ writes it; "" if unknown.
  std::string name_at(std::uintptr_t address) const;

 private:
  struct Function {
    std::uintptr_t begin;
    std::uintptr_t size;
    std::uint32_t name;  // its offset in names_
  };

  std::vector<Function> functions_;  // by address
  std::string names_;                // each ended by a NUL
};

}  // namespace sharedlock
