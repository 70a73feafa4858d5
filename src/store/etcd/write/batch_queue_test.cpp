#include "store/etcd/write/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <map>
#include <string>

#include "base/manual_clock.h"

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

// Sends words, joined by "+"; a batch under way comes back when it is told to. Words with the same first letter can't
// share a batch, a "!" goes alone, and a batch that contains a "?" fails.
class Words {
 public:
  using Item = std::string;
  using Answer = std::string;
  static constexpr std::size_t kFull = 3;
  class Plan {
   public:
    bool take(const Item& item) {
      if (letters_.size() == kFull || letters_.find(item[0]) != std::string::npos) return false;
      letters_ += item[0];
      return true;
    }

   private:
    std::string letters_;
  };

  explicit Words(Executor executor) : executor_(executor) {}

  static bool goes_alone(const Item& item) { return item == "!"; }

  Task<Answer> send_alone(Item* item, Deadline) {
    co_await travel(*item);
    co_return "got " + *item;
  }

  Task<std::optional<std::vector<Answer>>> send(const std::vector<Item*>* items, Deadline deadline) {
    last_deadline = deadline;
    std::string all;
    for (const Item* item : *items) all += (all.empty() ? "" : "+") + *item;
    co_await travel(all);
    std::vector<Answer> answers;
    for (const Item* item : *items) {
      if (item->find('?') != std::string::npos) co_return std::nullopt;
      answers.push_back("got " + *item);
    }
    co_return answers;
  }

  static Answer late(const Item& item, bool sent) { return item + (sent ? " may have arrived" : " never left"); }
  static std::string_view look(const Item& item) {
    return item.find('=') == std::string::npos ? std::string_view() : std::string_view(item).substr(0, 1);
  }
  static std::optional<Answer> share(const Answer& answer) {
    return answer.ends_with('*') ? std::nullopt : std::optional("as one who " + answer);
  }

  void come_back(const std::string& what) { under_way_.at(what)->raise(); }
  std::vector<std::string> under_way() const {
    std::vector<std::string> all;
    all.reserve(under_way_.size());
    for (const auto& [what, signal] : under_way_) all.push_back(what);
    return all;
  }

  Deadline last_deadline{};

 private:
  Task<void> travel(std::string what) {
    auto signal = std::make_shared<AsyncEvent>(executor_);
    under_way_[what] = signal;
    co_await signal->wait();
    under_way_.erase(what);
  }

  Executor executor_;
  std::map<std::string, std::shared_ptr<AsyncEvent>> under_way_;
};

class EtcdBatchQueueTest : public testing::Test {
 protected:
  explicit EtcdBatchQueueTest(EtcdBatchLimits limits = {.batches = 2, .enough = Words::kFull})
      : queue_(words_, limits, clock_, context_.get_executor(), background_) {}

  void submit(const std::string& word, milliseconds patience = std::chrono::hours(1)) {
    Deadline deadline{clock_.boot_now() + patience};
    spawn(context_.get_executor(), ask(word, deadline), [](std::exception_ptr escaped) { EXPECT_FALSE(escaped); });
    run();
  }
  void come_back(const std::string& what) {
    words_.come_back(what);
    run();
  }
  void run() {
    context_.restart();
    context_.poll();
    queue_.check_invariants();
  }
  std::vector<std::string> under_way() const { return words_.under_way(); }

  asio::io_context context_{1};
  ManualClock clock_;
  Words words_{context_.get_executor()};
  TaskGroup background_;
  EtcdBatchQueue<Words> queue_;
  std::map<std::string, std::string> answers_;

 private:
  Task<void> ask(std::string word, Deadline deadline) {
    auto answer = co_await queue_.submit(word, deadline);
    answers_[word] = answer;
  }
};

TEST_F(EtcdBatchQueueTest, ALoneRequestLeavesAtOnce) {
  submit("a");
  EXPECT_THAT(under_way(), ElementsAre("a"));
  come_back("a");
  EXPECT_EQ(answers_["a"], "got a");
  submit("b");
  EXPECT_THAT(under_way(), ElementsAre("b"));
  come_back("b");
}

TEST_F(EtcdBatchQueueTest, GatheredRequestsLeaveTogether) {
  submit("a");
  submit("b");
  submit("c");
  EXPECT_THAT(under_way(), ElementsAre("a"));
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b+c"));
  come_back("b+c");
  EXPECT_EQ(answers_["b"], "got b");
  EXPECT_EQ(answers_["c"], "got c");
}

TEST_F(EtcdBatchQueueTest, ARequestThatCannotShareABatchGoesNext) {
  submit("a");
  submit("b1");
  submit("b2");
  submit("c");
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b1+c"));
  submit("b3");
  come_back("b1+c");
  EXPECT_THAT(under_way(), ElementsAre("b2"));
  come_back("b2");
  EXPECT_THAT(under_way(), ElementsAre("b3"));
  come_back("b3");
}

TEST_F(EtcdBatchQueueTest, AFullBatchLeavesBesideAnother) {
  submit("a");
  submit("b");
  submit("c");
  submit("d");
  EXPECT_THAT(under_way(), ElementsAre("a", "b+c+d"));
  for (const char* word : {"e", "f", "g"}) submit(word);
  EXPECT_THAT(under_way(), ElementsAre("a", "b+c+d")) << "two are the most";
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b+c+d", "e+f+g"));
  submit("h");
  come_back("e+f+g");
  EXPECT_THAT(under_way(), ElementsAre("b+c+d")) << "beside others only a full one leaves";
  come_back("b+c+d");
  EXPECT_THAT(under_way(), ElementsAre("h"));
  come_back("h");
  EXPECT_EQ(answers_.size(), 8u);
}

class EtcdBatchQueueEnough : public EtcdBatchQueueTest {
 protected:
  EtcdBatchQueueEnough() : EtcdBatchQueueTest({.batches = 3, .enough = 1}) {}
};

TEST_F(EtcdBatchQueueEnough, AsManyAsAreUnderWayLeaveBesideThem) {
  submit("a");
  submit("b");
  EXPECT_THAT(under_way(), ElementsAre("a", "b"));
  submit("c");
  EXPECT_THAT(under_way(), ElementsAre("a", "b")) << "one beside two";
  submit("d");
  EXPECT_THAT(under_way(), ElementsAre("a", "b", "c+d"));
  submit("e");
  come_back("c+d");
  EXPECT_THAT(under_way(), ElementsAre("a", "b")) << "one beside two";
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b", "e"));
  come_back("b");
  come_back("e");
  EXPECT_EQ(answers_.size(), 5u);
}

TEST_F(EtcdBatchQueueTest, ARequestThatMustGoAloneGoesAlone) {
  submit("a");
  submit("b");
  submit("!");
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b"));
  submit("c");
  come_back("b");
  EXPECT_THAT(under_way(), ElementsAre("!"));
  come_back("!");
  EXPECT_THAT(under_way(), ElementsAre("c"));
  come_back("c");
}

TEST_F(EtcdBatchQueueTest, AfterAFailureEachIsSentAlone) {
  submit("a");
  for (const char* word : {"b", "c", "?"}) submit(word);
  EXPECT_THAT(under_way(), ElementsAre("a", "b+c+?"));
  come_back("b+c+?");
  EXPECT_THAT(under_way(), ElementsAre("a", "b"));
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b", "c")) << "side by side";
  submit("d");
  come_back("b");
  EXPECT_EQ(answers_["b"], "got b");
  EXPECT_THAT(under_way(), ElementsAre("?", "c"));
  come_back("?");
  EXPECT_THAT(under_way(), ElementsAre("c")) << "d goes with others, or alone when nothing is under way";
  come_back("c");
  come_back("d");
  EXPECT_EQ(answers_.size(), 5u);
}

TEST_F(EtcdBatchQueueTest, AfterAFailureAllFreeSlotsAreUsed) {
  submit("a");
  submit("b");
  submit("?");
  come_back("a");
  come_back("b+?");
  EXPECT_THAT(under_way(), ElementsAre("?", "b"));
  come_back("?");
  come_back("b");
  submit("c");
  EXPECT_THAT(under_way(), ElementsAre("c"));
  come_back("c");
}

TEST_F(EtcdBatchQueueTest, ABatchHasTheTimeOfItsMostPatientCaller) {
  submit("a");
  submit("b", std::chrono::hours(2));
  submit("c", std::chrono::hours(1));
  come_back("a");
  EXPECT_EQ(words_.last_deadline.at, clock_.boot_now() + std::chrono::hours(2));
  come_back("b+c");
}

TEST_F(EtcdBatchQueueTest, ARequestThatTimesOutBeforeItLeftNeverLeaves) {
  submit("a");
  submit("b", milliseconds(1));
  submit("c");
  context_.restart();
  while (!answers_.contains("b")) context_.run_one();
  EXPECT_EQ(answers_["b"], "b never left");
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("c"));
  come_back("c");
}

TEST_F(EtcdBatchQueueTest, ARequestThatTimesOutOnTheWayLeavesTheOthersAlone) {
  submit("a");
  submit("b", milliseconds(20));
  submit("?");
  come_back("a");
  ASSERT_THAT(under_way(), ElementsAre("b+?")) << "it was to leave within 20 ms";
  context_.restart();
  while (!answers_.contains("b")) context_.run_one();
  EXPECT_EQ(answers_["b"], "b may have arrived");
  come_back("b+?");
  EXPECT_THAT(under_way(), ElementsAre("?")) << "nobody waits for b any more";
  come_back("?");
  EXPECT_THAT(under_way(), IsEmpty());
}

TEST_F(EtcdBatchQueueTest, RequestsForTheSameShareTheAnswer) {
  submit("a");
  submit("b=1");
  submit("b=2");
  come_back("a");
  EXPECT_THAT(under_way(), ElementsAre("b=1"));
  submit("b=3");
  come_back("b=1");
  EXPECT_EQ(answers_["b=1"], "got b=1");
  EXPECT_EQ(answers_["b=2"], "as one who got b=1");
  EXPECT_FALSE(answers_.contains("b=3")) << "it came after that had left";
  EXPECT_THAT(under_way(), ElementsAre("b=3"));
  come_back("b=3");
}

TEST_F(EtcdBatchQueueTest, RequestsForDifferentThingsShareNothing) {
  submit("a");
  submit("b=1");
  submit("b2");
  come_back("a");
  come_back("b=1");
  EXPECT_FALSE(answers_.contains("b2"));
  EXPECT_THAT(under_way(), ElementsAre("b2"));
  come_back("b2");
}

TEST_F(EtcdBatchQueueTest, ARequestThatCannotShareGoesNext) {
  submit("a");
  for (const char* word : {"b=1*", "b=2", "b=3"}) submit(word);
  come_back("a");
  come_back("b=1*");
  EXPECT_EQ(answers_["b=1*"], "got b=1*");
  ASSERT_EQ(under_way().size(), 1u);
  EXPECT_EQ(answers_.size(), 2u);
  come_back(under_way()[0]);
  EXPECT_EQ(answers_.size(), 4u) << "one of them went, and the other shares";
}

TEST_F(EtcdBatchQueueTest, AFollowerOfAFailedRequestIsNotForgotten) {
  submit("a");
  for (const char* word : {"b=1", "b=2", "?"}) submit(word);
  EXPECT_THAT(under_way(), ElementsAre("a", "b=1+?"));
  come_back("a");
  come_back("b=1+?");
  EXPECT_THAT(under_way(), ElementsAre("?", "b=1"));
  come_back("b=1");
  EXPECT_THAT(under_way(), ElementsAre("?"));
  come_back("?");
  EXPECT_THAT(under_way(), ElementsAre("b=2"));
  come_back("b=2");
  EXPECT_EQ(answers_.size(), 4u);
}

TEST_F(EtcdBatchQueueTest, AFollowerThatTimesOutNeverLeft) {
  submit("a");
  submit("b=1");
  submit("b=2", milliseconds(20));
  come_back("a");
  ASSERT_THAT(under_way(), ElementsAre("b=1"));
  context_.restart();
  while (!answers_.contains("b=2")) context_.run_one();
  EXPECT_EQ(answers_["b=2"], "b=2 never left");
  come_back("b=1");
  EXPECT_THAT(under_way(), IsEmpty());
}

}  // namespace
}  // namespace sharedlock
