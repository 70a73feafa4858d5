#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace sharedlock {

void end_for_broken(const char* what) {
  std::fprintf(stderr, "shared-lock: %s\n", what);
  std::abort();
}

}  // namespace sharedlock
