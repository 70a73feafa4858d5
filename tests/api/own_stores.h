#pragma once

#include <gtest/gtest.h>

#include "support/server_process.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {

// The kinds of store that need no other program.
struct InMemory {
  static Environment environment() { return ServerProcess::open_memory(); }
};
struct Embedded {
  static Environment environment() {
    static TemporaryDirectory directory;
    return ServerProcess::open_memory(
        {{"SHARED_LOCK_STORAGE_TYPE", "embedded"}, {"SHARED_LOCK_DATA_DIR", directory.path().string()}});
  }
};

using OwnStores = testing::Types<InMemory, Embedded>;

}  // namespace sharedlock::test
