#include "crash/faulty_disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

DiskFaults* map(const std::filesystem::path& file) {
  int handle = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (handle < 0 || ::ftruncate(handle, sizeof(DiskFaults)) != 0)
    throw std::runtime_error("can't make " + file.string());
  void* mapped = ::mmap(nullptr, sizeof(DiskFaults), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
  ::close(handle);
  if (mapped == MAP_FAILED) throw std::runtime_error("can't map " + file.string());
  return static_cast<DiskFaults*>(mapped);
}

}  // namespace

FaultyDisk::FaultyDisk() : control_(data_.path().string() + "-faults"), faults_(map(control_)) {}

FaultyDisk::~FaultyDisk() {
  release();
  ::munmap(faults_, sizeof(DiskFaults));
}

ProcessOptions FaultyDisk::options() const {
  ProcessOptions options = embedded_in(path());
  options.environment["LD_PRELOAD"] = SHAREDLOCK_DISK_FAULTS;
  options.environment[kDiskFaultsFile] = control_.string();
  options.environment[kDiskFaultsFolder] = path().string();
  // Of two equal names in the environment the first counts; the address sanitizer wants to be loaded before all others.
  const char* sanitizer = std::getenv("ASAN_OPTIONS");
  options.environment["ASAN_OPTIONS"] = std::string(sanitizer ? sanitizer : "") + ":verify_asan_link_order=0";
  return options;
}

bool FaultyDisk::hangs() const {
  return eventually([this] { return faults_->hanging > 0; });
}

}  // namespace sharedlock::test
