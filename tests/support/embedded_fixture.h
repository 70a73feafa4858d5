#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/log.h"
#include "base/manual_clock.h"
#include "contract/store_client.h"
#include "contract/watch_log.h"
#include "store/embedded/embedded_store.h"
#include "support/memory_journal.h"

namespace sharedlock::test {

// A log that nobody reads.
inline Log& silent_log() {
  static Log log(LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC));
  return log;
}

// An embedded store on a disk in memory, and what one does with it: stop it, lose a part of the disk, start it again.
class EmbeddedFixture : public ::testing::Test {
 protected:
  Result<std::unique_ptr<LeaseStore>> try_to_open() {
    return make_embedded_store(std::make_unique<MemoryJournal>(disk), clock, silent_log(), revision_block);
  }
  void open() {
    store = try_to_open().value();
    client.emplace(*store);
  }
  void close() {
    client.reset();
    store.reset();
  }
  void reopen() {
    close();
    open();
  }

  Deadline in(std::chrono::nanoseconds span) const { return {clock.boot_now() + span}; }

  static Transaction putting(std::string key, std::string value, Lifetime lifetime = kLasting) {
    Put put{std::move(key), std::move(value), lifetime};
    return {.expect = {}, .none_under = {}, .changes = {std::move(put)}};
  }

  ManualClock clock;
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  std::int64_t revision_block = std::int64_t{1} << 24;
  std::unique_ptr<LeaseStore> store;
  std::optional<StoreClient> client;  // of the store that is open
};

}  // namespace sharedlock::test
