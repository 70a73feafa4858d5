#include "base/elf_functions.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <optional>

namespace sharedlock {

namespace {

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

// A copy of the object at `offset`; nothing when the file ends before its end.
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

std::optional<Section> section_of_type(std::string_view file, const Header& header, std::uint32_t type) {
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    auto section = section_at(file, header, i);
    if (section && section->sh_type == type) return section;
  }
  return std::nullopt;
}

std::string_view content_of(std::string_view file, const Section& section) {
  bool inside = section.sh_offset <= file.size() && section.sh_size <= file.size() - section.sh_offset;
  return inside ? file.substr(section.sh_offset, section.sh_size) : std::string_view();
}

}  // namespace

ElfFunctions::ElfFunctions(const char* path) : data_(MAP_FAILED) {
  int file = ::open(path, O_RDONLY | O_CLOEXEC);
  struct stat facts{};
  if (file >= 0 && ::fstat(file, &facts) == 0 && facts.st_size > 0) {
    size_ = static_cast<std::size_t>(facts.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
  }
  if (file >= 0) ::close(file);
  if (data_ != MAP_FAILED) find_table({static_cast<const char*>(data_), size_});
}

ElfFunctions::~ElfFunctions() {
  if (data_ != MAP_FAILED) ::munmap(data_, size_);
}

void ElfFunctions::find_table(std::string_view file) {
  auto header = read_at<Header>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
  auto table = section_of_type(file, *header, SHT_SYMTAB);
  if (!table) table = section_of_type(file, *header, SHT_DYNSYM);
  if (!table) return;
  auto names = section_at(file, *header, table->sh_link);  // a table's names are in the section that it links to
  if (!names) return;
  names_ = content_of(file, *names);
  if (names_.empty() || names_.back() != '\0') return;
  table_ = content_of(file, *table);
  count_ = table_.size() / sizeof(Symbol);
}

bool ElfFunctions::read(std::size_t index, Function& function) const {
  auto symbol = read_at<Symbol>(table_, index * sizeof(Symbol));
  if (!symbol || symbol->st_name >= names_.size()) return false;
  if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_value == 0) return false;
  function = {symbol->st_value, symbol->st_size, symbol->st_name};
  return true;
}

}  // namespace sharedlock
