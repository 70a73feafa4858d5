// The queue of batches under many callers on several threads at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/io_threads.h"
#include "store/etcd/write/batch_queue.h"

namespace sharedlock {
namespace {

// Sends without delay, from threads of its own.
class Echo {
 public:
  using Item = int;
  using Answer = int;
  static constexpr std::size_t kFull = 8;
  class Plan {
   public:
    bool take(const Item& item) { return item % 7 != 3 && ++count_ <= kFull; }

   private:
    std::size_t count_ = 0;
  };
  static bool goes_alone(const Item& item) { return item % 7 == 3; }
  static Task<Answer> send_alone(Item* item, Deadline) { co_return *item; }
  static Task<std::optional<std::vector<Answer>>> send(const std::vector<Item*>* items, Deadline) {
    std::vector<Answer> answers;
    for (const Item* item : *items) answers.push_back(*item);
    co_return answers;
  }
  static Answer late(const Item&, bool) { return -1; }
  static std::string_view look(const Item&) { return {}; }
  static std::optional<Answer> share(const Answer&) { return std::nullopt; }
};

Task<void> ask_often(EtcdBatchQueue<Echo>* queue, int first, int* right) {
  for (int i = first; i < first + 2000; ++i) {
    int answer = co_await queue->submit(i, Deadline::never());
    *right += answer == i ? 1 : 0;
  }
}

TEST(EtcdBatchQueue, NoRequestIsForgottenOrGivenAnAnswerOfAnother) {
  constexpr int kCallers = 24;
  SystemClock clock;
  Echo echo;
  IoThreads threads(4);
  std::vector<int> right(kCallers);
  TaskGroup background;
  EtcdBatchQueue<Echo> queue(echo, EtcdBatchLimits{.batches = 3, .enough = 4}, clock, threads.executor(3), background);
  {
    TaskGroup callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.spawn(threads.executor(static_cast<std::size_t>(i % 3)),
                    ask_often(&queue, i * 100'000, &right[static_cast<std::size_t>(i)]));
    }
  }
  background.join();
  queue.check_invariants();
  EXPECT_THAT(right, testing::Each(2000));
}

}  // namespace
}  // namespace sharedlock
