#include "store/etcd/lease/own_leases.h"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "store/etcd/lease/lease_index.h"
#include "store/memory/memory_store.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FaultStore;
using test::run_task;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr LeaseId kId{1234567};
constexpr LeaseId kOtherId{7654321};
constexpr const char* kUnder = "/leases/";
constexpr const char* kKey = "/leases/a";

std::optional<Errc> code_of(const auto& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

// A server. What it writes stands in a store in memory, that may be another's too; of etcd's own leases there are none.
class Server {
 public:
  Server(LeaseStore& store, Clock& clock, Log& log, bool shared)
      : store_(store), leases_(below(), shared, clock, log, threads_.executor(0)) {}

  Result<Outcome> grant(LeaseId id, Ttl ttl, const std::string& key = kKey, bool client_chosen = false) {
    OwnLease own{.ttl = ttl, .id = id, .client_chosen = client_chosen};
    Transaction transaction{.expect = {{key, kAbsent}}, .none_under = {}, .changes = {Put{key, "value", own}}};
    return run_task(leases_.commit(std::move(transaction), clock().boot_now(), Deadline::never()));
  }
  Result<Ttl> keep_alive(LeaseId id) { return run_task(leases_.keep_alive(id, kUnder, Deadline::never())); }
  Result<void> revoke(LeaseId id, std::string under = kUnder) {
    return run_task(leases_.revoke(id, std::move(under), Deadline::never()));
  }
  std::vector<std::string> keys_of(LeaseId id) {
    auto info = run_task(leases_.info(id, Deadline::never())).value();
    return info ? info->keys : std::vector<std::string>();
  }

  // Called before the next commit, once.
  std::function<void()> before_commit = nullptr;
  // What is sent has no answer, and may be done later: it is in `sent` as long as `tries` is set.
  bool answers = true;
  std::optional<Transaction> sent;
  EtcdOwnLeases::Trace tries;
  bool epochs_ended = true;
  bool lacks_space = false;
  BootTime lacked_until = BootTime::min();  // and not since
  int asked_natively = 0;
  int looks = 0;
  bool looked_itself = false;  // the last commit

 private:
  EtcdOwnLeases::Below below() {
    EtcdOwnLeases::Below below;
    below.commit = [this](Transaction what, BootTime, EtcdCommitWay way, Deadline deadline) {
      looked_itself = way.looks_itself;
      return commit(std::move(what), deadline, std::move(way.trace));
    };
    below.look = [this](std::vector<std::string> keys, Deadline deadline) { return look(std::move(keys), deadline); };
    below.epochs_ended = [this] { return epochs_ended; };
    below.lacks_space = [this] { return lacks_space; };
    below.lacked_space_since = [this](BootTime then) { return lacks_space || lacked_until >= then; };
    below.knows_native = [](LeaseId, const std::string&) { return false; };
    below.keep_native_alive = [this](LeaseId, std::string, Deadline) { return no_such<Ttl>(); };
    below.revoke_native = [this](LeaseId, std::string, Deadline) { return no_such<void>(); };
    below.native_info = [this](LeaseId, Deadline) { return nothing<LeaseInfo>(); };
    below.native_life = [this](LeaseId id, Deadline deadline) { return store_.lease_life(id, deadline); };
    below.lost_or_unavailable = [](LeaseId, const Error& error) { return Error{Errc::lease_not_found, error.message}; };
    return below;
  }

  Task<Result<Outcome>> commit(Transaction what, Deadline deadline, EtcdOwnLeases::Trace trace) {
    if (auto hook = std::exchange(before_commit, nullptr)) hook();
    if (!answers) {
      sent = std::move(what);
      tries = std::move(trace);
      co_return Error{Errc::unavailable, "planted"};
    }
    co_return co_await store_.commit(std::move(what), deadline);
  }
  Task<Result<std::vector<std::optional<Entry>>>> look(std::vector<std::string> keys, Deadline deadline) {
    ++looks;
    std::vector<std::optional<Entry>> entries;
    for (std::string& key : keys) {
      auto found = co_await store_.get(std::move(key), deadline);
      if (!found) co_return found.error();
      entries.push_back(std::move(found->entry));
    }
    co_return entries;
  }
  template <class T>
  Task<Result<T>> no_such() {
    ++asked_natively;
    co_return Error{Errc::lease_not_found, "none"};
  }
  template <class T>
  Task<Result<std::optional<T>>> nothing() {
    co_return std::optional<T>();
  }
  static Clock& clock() { return *clock_; }

  LeaseStore& store_;
  IoThreads threads_{1};
  EtcdOwnLeases leases_;

 public:
  inline static Clock* clock_ = nullptr;
};

class EtcdOwnLeasesTest : public testing::Test {
 protected:
  EtcdOwnLeasesTest() { Server::clock_ = &clock_; }

  std::optional<Entry> get(std::string key) {
    return run_task(faults_.get(std::move(key), Deadline::never())).value().entry;
  }
  std::optional<Entry> index(LeaseId id) { return get(lease_index_key(id)); }
  Outcome apply(Transaction transaction) {
    return run_task(store_->commit(std::move(transaction), Deadline::never())).value();
  }
  void erase(const std::string& key) { apply({.expect = {}, .none_under = {}, .changes = {Erase{key}}}); }

  ManualClock clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_ = make_memory_store(clock_);
  FaultStore faults_{*store_};
  Server here_{faults_, clock_, log_, /*shared=*/true};
  Server there_{faults_, clock_, log_, /*shared=*/true};
};

TEST_F(EtcdOwnLeasesTest, SafetyR33_AKeepaliveMovesTogetherAllThatTheGrantPut) {
  auto granted = std::get<Committed>(here_.grant(kId, Ttl{6}).value());
  EXPECT_EQ(granted.lease, kId);
  EXPECT_EQ(granted.leases.size(), 1u) << "what was asked for";
  clock_.advance(seconds(5));
  EXPECT_EQ(here_.keep_alive(kId).value(), Ttl{6});
  EXPECT_EQ(here_.looks, 0) << "it wrote it last";
  Entry entry = get(kKey).value();
  EXPECT_EQ(entry.created, granted.revision);
  EXPECT_EQ(entry.revision, index(kId).value().revision);
  clock_.advance(milliseconds(5900));
  EXPECT_TRUE(get(kKey));
  EXPECT_TRUE(index(kId));
  EXPECT_EQ(here_.asked_natively, 0);
}

// A keepalive that came earlier and loses against a later one must not end what the later one has promised.
TEST_F(EtcdOwnLeasesTest, SafetyR33_ARenewalDecidedAgainShortensNothing) {
  ASSERT_TRUE(here_.grant(kId, Ttl{6}));
  here_.before_commit = [&] {
    clock_.advance(seconds(1));
    EXPECT_TRUE(there_.keep_alive(kId)) << "it is promised until 7";
  };
  EXPECT_TRUE(here_.keep_alive(kId));
  clock_.advance(milliseconds(5900));
  EXPECT_TRUE(get(kKey));
  EXPECT_TRUE(there_.keep_alive(kId));
}

TEST_F(EtcdOwnLeasesTest, SafetyR33_AReleaseDecidedAgainEndsWhatWasRenewedMeanwhile) {
  ASSERT_TRUE(here_.grant(kId, Ttl{6}));
  here_.before_commit = [&] { EXPECT_TRUE(there_.keep_alive(kId)); };
  EXPECT_TRUE(here_.revoke(kId));
  EXPECT_FALSE(get(kKey));
  EXPECT_FALSE(index(kId));
}

// After a force release and a grant to another client, the id still points to the key.
TEST_F(EtcdOwnLeasesTest, SafetyR33_AStaleIndexEntryHoldsNothing) {
  ASSERT_TRUE(here_.grant(kId, Ttl{60}));
  erase(kKey);
  ASSERT_TRUE(there_.grant(kOtherId, Ttl{60}));
  for (Server* server : {&here_, &there_}) {
    EXPECT_EQ(code_of(server->keep_alive(kId)), Errc::lease_not_found);
    EXPECT_EQ(code_of(server->revoke(kId)), Errc::lease_not_found);
    EXPECT_THAT(server->keys_of(kId), IsEmpty());
  }
  EXPECT_THAT(here_.keys_of(kOtherId), ElementsAre(kKey));
  EXPECT_TRUE(here_.grant(kId, Ttl{60}, "/leases/b")) << "it is overwritten";
  EXPECT_THAT(there_.keys_of(kId), ElementsAre("/leases/b"));
  EXPECT_TRUE(here_.revoke(kOtherId));
  EXPECT_TRUE(there_.revoke(kId));
}

TEST_F(EtcdOwnLeasesTest, SafetyR33_AnIdWhoseIndexEntryIsTrueIsRefusedInBothModes) {
  Server natively(faults_, clock_, log_, /*shared=*/false);
  ASSERT_TRUE(here_.grant(kId, Ttl{60}));
  for (Server* server : {&here_, &there_, &natively}) {
    EXPECT_EQ(code_of(server->grant(kId, Ttl{60}, "/leases/b")), Errc::lease_in_use);
    EXPECT_EQ(code_of(server->grant(kId, Ttl{60}, kKey, /*client_chosen=*/true)), Errc::lease_in_use) << "a repeat";
  }
  erase(kKey);
  EXPECT_TRUE(natively.grant(kId, Ttl{60}, "/leases/b", /*client_chosen=*/true));
}

TEST_F(EtcdOwnLeasesTest, SafetyR33_EachModeKeepsWhatTheOtherWrote) {
  Server natively(faults_, clock_, log_, /*shared=*/false);
  ASSERT_TRUE(here_.grant(kId, Ttl{6}));
  clock_.advance(seconds(5));
  EXPECT_TRUE(natively.keep_alive(kId));
  EXPECT_EQ(natively.asked_natively, 0);
  clock_.advance(seconds(5));
  EXPECT_TRUE(natively.revoke(kId));
  EXPECT_FALSE(get(kKey));
  EXPECT_EQ(code_of(here_.keep_alive(kId)), Errc::lease_not_found);
  EXPECT_EQ(here_.asked_natively, 1) << "without an index entry it may be one of etcd's own";
}

// An unanswered request may be carried out as long as its epoch has not ended, so the answer must not be that there is
// nothing to undo.
TEST_F(EtcdOwnLeasesTest, SafetyR33_AnUndoWaitsForTheEndOfWhatWasSent) {
  here_.answers = false;
  EXPECT_EQ(code_of(here_.grant(kId, Ttl{60})), Errc::unavailable);
  here_.answers = true;
  here_.epochs_ended = false;
  EXPECT_EQ(code_of(here_.revoke(kId, "")), Errc::unavailable) << "it is still being tried";
  here_.tries.reset();
  EXPECT_EQ(code_of(here_.revoke(kId, "")), Errc::unavailable) << "its epoch lasts";
  apply(*here_.sent);
  here_.epochs_ended = true;
  EXPECT_TRUE(here_.revoke(kId, ""));
  EXPECT_FALSE(get(kKey));
  EXPECT_FALSE(index(kId));
  EXPECT_EQ(code_of(here_.revoke(kId, "")), Errc::lease_not_found);
}

// Its own index entry may exist, put by another server; what was read for another request does not show that.
TEST_F(EtcdOwnLeasesTest, SafetyR33_AGrantOfAChosenIdSharesNoReadOfAnother) {
  ASSERT_TRUE(there_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true));
  EXPECT_EQ(code_of(here_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true)), Errc::lease_in_use);
  EXPECT_TRUE(here_.looked_itself);
  EXPECT_TRUE(here_.grant(kOtherId, Ttl{60}));
  EXPECT_FALSE(here_.looked_itself);
}

// Requests that are sent without space belong to no epoch (R18).
TEST_F(EtcdOwnLeasesTest, SafetyR33_WithoutSpaceAnUndoWaitsForWhatMayComeLate) {
  here_.answers = false;
  here_.lacks_space = true;
  EXPECT_EQ(code_of(here_.grant(kId, Ttl{60})), Errc::unavailable);
  EXPECT_EQ(code_of(here_.grant(kOtherId, Ttl{60}, kKey, /*client_chosen=*/true)), Errc::unavailable);
  here_.answers = true;
  here_.lacks_space = false;
  here_.lacked_until = clock_.boot_now();
  here_.tries.reset();
  for (LeaseId id : {kId, kOtherId}) EXPECT_EQ(code_of(here_.revoke(id, "")), Errc::unavailable);
  clock_.advance(milliseconds(9999));
  for (LeaseId id : {kId, kOtherId}) EXPECT_EQ(code_of(here_.revoke(id, "")), Errc::unavailable);
  EXPECT_TRUE(std::holds_alternative<Committed>(apply(*here_.sent)));
  clock_.advance(milliseconds(1));
  EXPECT_EQ(code_of(here_.revoke(kId, "")), Errc::lease_not_found);
  EXPECT_TRUE(here_.revoke(kOtherId, ""));
  EXPECT_FALSE(get(kKey));
}

// The space is found to be gone while a grant is under way.
TEST_F(EtcdOwnLeasesTest, SafetyR33_SpaceThatIsUsedUpMeanwhileCountsToo) {
  here_.answers = false;
  here_.before_commit = [&] { here_.lacks_space = true; };
  EXPECT_EQ(code_of(here_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true)), Errc::unavailable);
  here_.answers = true;
  here_.tries.reset();
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable);
  clock_.advance(seconds(10));
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::lease_not_found);
}

// An attempt without an epoch hangs, and the next one is answered. Meanwhile there is space again.
TEST_F(EtcdOwnLeasesTest, SafetyR06_AnOpenAttemptWithoutAnEpochIsWaitedForEvenAfterASuccess) {
  bool chosen = true;
  for (LeaseId id : {kId, kOtherId}) {
    here_.before_commit = [&] { here_.lacked_until = clock_.boot_now(); };
    EXPECT_TRUE(here_.grant(id, Ttl{60}, kKey, /*client_chosen=*/std::exchange(chosen, false)));
    EXPECT_EQ(code_of(here_.revoke(id)), Errc::unavailable);
    EXPECT_FALSE(get(kKey)) << "what it found is ended";
    clock_.advance(milliseconds(9999));
    EXPECT_EQ(code_of(here_.revoke(id)), Errc::unavailable);
    clock_.advance(milliseconds(1));
    EXPECT_EQ(code_of(here_.revoke(id)), Errc::lease_not_found);
  }
}

TEST_F(EtcdOwnLeasesTest, SafetyR06_AnIdDrawnByTheServerIsOverWhenItsEpochHasEndedToo) {
  here_.epochs_ended = false;
  EXPECT_TRUE(here_.grant(kId, Ttl{60}));
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable);
  here_.epochs_ended = true;
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::lease_not_found);
}

// An id that a client chose: the repeat of its request finds what the first try made, and is granted; so the client may
// release it while that try is still under way, or sent again for others in its batch.
TEST_F(EtcdOwnLeasesTest, SafetyR06_NoLateGrantFollowsAReleaseThatWasAcknowledged) {
  here_.answers = false;
  EXPECT_EQ(code_of(here_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true)), Errc::unavailable);
  here_.answers = true;
  EXPECT_TRUE(std::holds_alternative<Committed>(apply(*here_.sent))) << "whose answer is lost";
  EXPECT_TRUE(here_.keep_alive(kId)) << "the repeat";
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable) << "it is still being tried";
  EXPECT_FALSE(get(kKey)) << "it has ended what it found";
  EXPECT_TRUE(std::holds_alternative<Committed>(apply(*here_.sent))) << "once more";
  here_.tries.reset();
  here_.epochs_ended = false;
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable) << "its epoch lasts";
  EXPECT_TRUE(std::holds_alternative<Committed>(apply(*here_.sent))) << "and again";
  here_.epochs_ended = true;
  EXPECT_TRUE(here_.revoke(kId));
  EXPECT_FALSE(get(kKey));
  EXPECT_FALSE(index(kId));
}

TEST_F(EtcdOwnLeasesTest, SafetyR06_AReleaseBesideAGrantOfItsIdIsNotAcknowledged) {
  here_.before_commit = [&] { EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable); };
  EXPECT_TRUE(here_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true));
  EXPECT_TRUE(here_.revoke(kId)) << "what became of it is known by now";
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::lease_not_found);
}

// An attempt before the answered one may still be open.
TEST_F(EtcdOwnLeasesTest, SafetyR06_AGrantThatWasAnsweredIsOverWhenItsEpochHasEnded) {
  here_.epochs_ended = false;
  EXPECT_TRUE(here_.grant(kId, Ttl{60}, kKey, /*client_chosen=*/true));
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::unavailable);
  here_.epochs_ended = true;
  EXPECT_EQ(code_of(here_.revoke(kId)), Errc::lease_not_found);
}

TEST_F(EtcdOwnLeasesTest, SafetyR33_WithoutAnAnswerBothAtOneRevisionAreASuccess) {
  faults_.next_commit(FaultStore::Fault::answer_lost);
  auto granted = std::get<Committed>(here_.grant(kId, Ttl{6}).value());
  EXPECT_EQ(granted.created(), get(kKey).value().created);
  EXPECT_EQ(granted.revision, get(kKey).value().revision);
  faults_.next_commit(FaultStore::Fault::answer_lost);
  EXPECT_TRUE(here_.keep_alive(kId));
  faults_.next_commit(FaultStore::Fault::answer_lost);
  EXPECT_TRUE(here_.revoke(kId));
  EXPECT_FALSE(get(kKey));
}

TEST_F(EtcdOwnLeasesTest, SafetyR33_TheIndexEntryTellsTtlAndKey) {
  LeaseIndex index{Ttl{10}, "/leases/with space\n"};
  EXPECT_EQ(parse_lease_index(to_text(index)), index);
  for (auto wrong : {"", "10", "10 ", " /a", "0 /a", "-1 /a", "x /a", "10/a"}) {
    EXPECT_EQ(parse_lease_index(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace sharedlock
