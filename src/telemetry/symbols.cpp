#include "telemetry/symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "base/elf_functions.h"

namespace sharedlock {

namespace {

// The offset between the program's load addresses and those in its file: the first object is the program itself.
std::uintptr_t load_address() {
  std::uintptr_t address = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<std::uintptr_t*>(to) = info->dlpi_addr;
        return 1;
      },
      &address);
  return address;
}

std::string demangled(const char* name) {
  int failed = 0;
  std::unique_ptr<char, decltype(&std::free)> plain(abi::__cxa_demangle(name, nullptr, nullptr, &failed), &std::free);
  return failed == 0 && plain ? plain.get() : name;
}

}  // namespace

Symbols::Symbols() {
  const ElfFunctions program("/proc/self/exe");
  names_ = program.names();
  std::uintptr_t base = load_address();
  program.each([this, base](const ElfFunctions::Function& function) {
    functions_.push_back({base + function.begin, function.size, function.name});
  });
  std::ranges::sort(functions_, {}, &Function::begin);
}

std::string Symbols::name_at(std::uintptr_t address) const {
  auto after = std::ranges::upper_bound(functions_, address, {}, &Function::begin);
  if (after != functions_.begin()) {
    const Function& function = *std::prev(after);
    if (address - function.begin < std::max<std::uintptr_t>(function.size, 1)) {
      return demangled(names_.c_str() + function.name);
    }
  }
  Dl_info info{};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the question is about an address
  if (::dladdr(reinterpret_cast<const void*>(address), &info) == 0 || info.dli_sname == nullptr) return {};
  return demangled(info.dli_sname);
}

}  // namespace sharedlock
