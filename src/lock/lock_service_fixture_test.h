#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "lock/lock_service.h"
#include "store/memory/memory_store.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock::test {

// One lock, a store in memory that can be made to fail, and the requests of one owner's instances.
class LockServiceTest : public testing::Test {
 protected:
  using seconds = std::chrono::seconds;
  using Answer = Result<LockAnswer>;

  LockServiceTest() : store_(make_memory_store(clock_)), faults_(*store_), locks_(options(), faults_, clock_, log_) {}

  static LockServiceOptions options() { return {.key_prefix = "locks/", .max_retries = 3}; }

  Answer acquire(std::string instance, seconds duration = seconds(30)) {
    return run_task(locks_.acquire({kLock, {"owner", std::move(instance)}, duration, clock_.boot_now()}));
  }
  Answer renew(std::string instance, seconds duration = seconds(30), std::optional<FencingToken> token = {}) {
    return run_task(
        locks_.renew({kLock, {"owner", std::move(instance)}, duration, RenewFrom::expiry, token, clock_.boot_now()}));
  }
  Result<std::optional<Refused>> release(std::string instance, std::optional<FencingToken> token = {}) {
    return run_task(locks_.release({kLock, {"owner", std::move(instance)}, token, clock_.boot_now()}));
  }
  std::optional<HeldLock> get() { return run_task(locks_.get(kLock, clock_.boot_now())).value(); }

  // What stands in the store, changed by other programs.
  std::optional<Entry> stored() { return run_task(store_->get("locks/space:name", Deadline::never()))->entry; }
  void store(std::string value) {
    Transaction transaction;
    transaction.changes.emplace_back(Put{"locks/space:name", std::move(value), PooledLease{seconds(60)}});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  }
  void erase() {
    Transaction transaction;
    transaction.changes.emplace_back(Erase{"locks/space:name"});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  }

  static LockGrant grant_of(const Answer& answer) {
    EXPECT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer && std::holds_alternative<LockGrant>(*answer)) << "refused";
    return std::get<LockGrant>(answer.value());
  }
  static bool is_refused(const Answer& answer) { return answer && std::holds_alternative<Refused>(*answer); }
  static bool is_unknown(const Answer& answer) { return !answer && outcome_unknown(answer.error().code); }

  const LockName kLock{"space", "name"};
  ManualClock clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_;
  FaultStore faults_;
  IoThreads threads_{1};
  LockService locks_;
};

}  // namespace sharedlock::test
