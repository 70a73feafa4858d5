#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <iostream>

#include "store/embedded/rocks_journal.h"
#include "support/effort.h"
#include "support/embedded_fixture.h"
#include "support/temporary_directory.h"

// A million locks: how long a restart takes.
namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kLocks = kFullSpeed ? 1'000'000 : 20'000;

std::string key_of(int i) {
  return "locks:default:resource-" + std::to_string(i);
}

// Writes locks as a store would have, in big batches.
void write_locks(const std::filesystem::path& directory) {
  auto journal = open_rocks_journal(directory).value();
  journal->load().value();
  constexpr int kAtOnce = 10'000;
  for (int i = 0; i < kLocks;) {
    JournalBatch batch{.writes = {}, .reserved = Revision{kLocks}};
    for (int end = i + kAtOnce; i < end; ++i) {
      batch.writes.emplace_back(JournalLease{LeaseId{i + 1}, i % 2 == 0, Ttl{600}});
      Entry entry{std::string(200, 'v'), LeaseId{i + 1}, Revision{i + 1}, Revision{i + 1}};
      batch.writes.emplace_back(KeyedEntry(key_of(i), std::move(entry)));
    }
    journal->append({std::move(batch)}).value();
  }
}

// Of this process, all threads: the clock on the wall depends on what runs beside it.
milliseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return milliseconds(used.tv_sec * 1000 + used.tv_nsec / 1'000'000);
}

TEST(RocksJournalScale, TimingSensitiveAMillionLocksAreRecoveredInSeconds) {
  TemporaryDirectory directory;
  write_locks(directory.path());
  ManualClock clock;

  const auto begun = steady_clock::now();
  const milliseconds used = cpu_time();
  auto store = make_embedded_store(open_rocks_journal(directory.path()).value(), clock, silent_log()).value();
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);
  const milliseconds cpu = cpu_time() - used;

  std::cout << kLocks << " locks recovered in " << took.count() << " ms, " << cpu.count() << " of the CPU\n";
  RecordProperty("recovery_ms", static_cast<int>(took.count()));
  EXPECT_LT(cpu, std::chrono::seconds(20));
  StoreClient client(*store);
  EXPECT_EQ(client.lease(LeaseId{kLocks})->left, Ttl{600});
  EXPECT_EQ(client.get(key_of(kLocks - 1))->value, std::string(200, 'v'));
  EXPECT_EQ(run_task(store->list("", "", std::size_t{2} * kLocks, Deadline::never()))->entries.size(),
            std::size_t{kLocks});
}

}  // namespace
}  // namespace sharedlock::test
