#include "base/symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

namespace sharedlock {

namespace {

// The bytes of a file, as far as they are looked at; none where it can't be read.
class MappedFile {
 public:
  explicit MappedFile(const char* path) {
    int file = ::open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts{};
    if (file >= 0 && ::fstat(file, &facts) == 0 && facts.st_size > 0) {
      size_ = static_cast<std::size_t>(facts.st_size);
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0) ::close(file);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  std::string_view text() const {
    return data_ == MAP_FAILED ? std::string_view() : std::string_view(static_cast<const char*>(data_), size_);
  }

 private:
  void* data_ = MAP_FAILED;
  std::size_t size_ = 0;
};

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

// A copy of the object that lies at `offset`; nothing when the file ends before.
template <class T>
std::optional<T> read_at(std::string_view file, std::size_t offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T object;
  std::memcpy(&object, file.data() + offset, sizeof(T));
  return object;
}

std::optional<Section> section_at(std::string_view file, const Header& header, std::size_t index) {
  return read_at<Section>(file, header.e_shoff + index * header.e_shentsize);
}

// The section of that type; the names that its symbols have are in the section it links to.
std::optional<Section> section_of_type(std::string_view file, const Header& header, std::uint32_t type) {
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    auto section = section_at(file, header, i);
    if (section && section->sh_type == type) return section;
  }
  return std::nullopt;
}

// How far from the addresses in its file the program was loaded: the first object is the program itself.
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
  const MappedFile program("/proc/self/exe");
  const std::string_view file = program.text();
  auto header = read_at<Header>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
  auto symbols = section_of_type(file, *header, SHT_SYMTAB);
  if (!symbols) return;
  auto names = section_at(file, *header, symbols->sh_link);
  if (!names || names->sh_offset > file.size() || names->sh_size > file.size() - names->sh_offset) return;
  names_ = file.substr(names->sh_offset, names->sh_size);

  std::uintptr_t base = load_address();
  for (std::size_t i = 0; i < symbols->sh_size / sizeof(Symbol); ++i) {
    auto symbol = read_at<Symbol>(file, symbols->sh_offset + i * sizeof(Symbol));
    if (!symbol || symbol->st_name >= names_.size()) break;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_value == 0) continue;
    functions_.push_back({base + symbol->st_value, symbol->st_size, symbol->st_name});
  }
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
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what the question is about
  if (::dladdr(reinterpret_cast<const void*>(address), &info) == 0 || info.dli_sname == nullptr) return {};
  return demangled(info.dli_sname);
}

}  // namespace sharedlock
