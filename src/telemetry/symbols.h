#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sharedlock {

// The names of the functions of this process by address: of the program itself from its symbol table, also of those
// that it does not export; of shared libraries what they export. Immutable after construction, so safe to use from
// every thread.
class Symbols {
 public:
  // Reads the program's own file, some megabytes. Without a symbol table (a stripped program) its functions have no
  // names.
  Symbols();

  // How many functions of the program have a name.
  std::size_t size() const { return functions_.size(); }

  // The function that the address lies in, as C++ writes it; "" for one that is not known.
  std::string name_at(std::uintptr_t address) const;

 private:
  struct Function {
    std::uintptr_t begin;
    std::uintptr_t size;
    std::uint32_t name;  // its place in names_
  };

  std::vector<Function> functions_;  // by address
  std::string names_;                // each ended by a NUL
};

}  // namespace sharedlock
