#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>

#include "store/rocks_journal.h"
#include "support/effort.h"
#include "support/embedded_fixture.h"
#include "support/temporary_directory.h"

// A million locks: how long a restart takes, and how long the longest operation while they come.
namespace sharedlock::test {
namespace {

using std::chrono::microseconds;
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
    journal->append(batch).value();
  }
}

TEST(RocksJournalScale, TimingSensitiveAMillionLocksAreRecoveredInSeconds) {
  TemporaryDirectory directory;
  write_locks(directory.path());
  ManualClock clock;

  auto begun = steady_clock::now();
  auto store = make_embedded_store(open_rocks_journal(directory.path()).value(), clock, silent_log()).value();
  auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);

  std::cout << kLocks << " locks recovered in " << took.count() << " ms\n";
  RecordProperty("recovery_ms", static_cast<int>(took.count()));
  EXPECT_LT(took, std::chrono::seconds(20));
  StoreClient client(*store);
  EXPECT_EQ(client.lease(LeaseId{kLocks})->left, Ttl{600});
  EXPECT_EQ(client.get(key_of(kLocks - 1))->value, std::string(200, 'v'));
  EXPECT_EQ(run_task(store->list("", "", std::size_t{2} * kLocks, Deadline::never()))->entries.size(),
            std::size_t{kLocks});
}

// The time that this thread has really run: other load on the machine does not count.
microseconds run_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::duration_cast<microseconds>(std::chrono::seconds(now.tv_sec) +
                                                  std::chrono::nanoseconds(now.tv_nsec));
}

Task<void> put_lock(LeaseStore* store, int i) {
  Transaction transaction = StoreClient::creation(key_of(i), std::string(200, 'v'), PooledLease{Ttl{600}});
  auto outcome = co_await store->commit(std::move(transaction), Deadline::never());
  std::get<Committed>(outcome.value());
}

TEST(EmbeddedScale, TimingSensitiveNoOperationStallsOnTheWayToAMillionLocks) {
  ManualClock clock;
  auto store = make_embedded_store(std::make_unique<NullJournal>(), clock, silent_log()).value();
  asio::io_context context(1);
  microseconds longest{};
  int ended = 0;

  for (int i = 0; i < kLocks; ++i) {
    asio::co_spawn(context.get_executor(), put_lock(store.get(), i), [&](std::exception_ptr failed) {
      EXPECT_FALSE(failed);
      ++ended;
    });
    auto begun = run_time();
    context.poll();  // up to where it waits for the journal
    longest = std::max(longest, run_time() - begun);
    context.restart();
  }
  context.run();

  std::cout << "the longest of " << kLocks << " operations took " << longest.count() << " us\n";
  RecordProperty("longest_us", static_cast<int>(longest.count()));
  EXPECT_EQ(ended, kLocks);
  EXPECT_LT(longest, milliseconds(kFullSpeed ? 50 : 500));
}

}  // namespace
}  // namespace sharedlock::test
