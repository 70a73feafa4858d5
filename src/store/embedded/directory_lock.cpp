#include "store/embedded/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace sharedlock {

DirectoryLock::DirectoryLock(const std::filesystem::path& directory)
    : handle_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (handle_ >= 0 && ::flock(handle_, LOCK_EX | LOCK_NB) != 0) taken_by_another_ = errno == EWOULDBLOCK;
}

DirectoryLock::~DirectoryLock() {
  if (handle_ >= 0) ::close(handle_);
}

}  // namespace sharedlock
