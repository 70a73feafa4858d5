#include <functional>
#include <random>

#include "base/io_threads.h"
#include "support/background_call.h"
#include "support/embedded_fixture.h"

// What survives a crash is a prefix of what happened, and everything that was acknowledged.
namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using State = std::map<std::string, Entry>;

const std::string kVolatile = "volatile";  // the value of every entry that lives on the session's lease

State durable_part(State state) {
  std::erase_if(state, [](const auto& item) { return item.second.value == kVolatile; });
  return state;
}

// Lease ids are random: for comparing two runs of one history.
State without_leases(State state) {
  for (auto& [key, entry] : state) entry.lease = LeaseId{};
  return state;
}

class EmbeddedHistory : public EmbeddedFixture {
 protected:
  // Opens what is left of a disk, and checks that all its leases have their full ttl.
  State recovered(std::shared_ptr<MemoryDisk> from) {
    close();
    disk = std::move(from);
    open();
    State state = client->state_under("");
    for (const auto& [key, entry] : state) {
      auto lease = client->lease(entry.lease);
      EXPECT_TRUE(lease && lease->left == lease->granted) << key;
    }
    return state;
  }

  std::shared_ptr<MemoryDisk> first_batches(const MemoryDisk& of, std::size_t count) {
    auto crashed = std::make_shared<MemoryDisk>();
    auto batches = of.batches();
    for (std::size_t i = 0; i < count; ++i) EXPECT_TRUE(crashed->append(batches[i]));
    return crashed;
  }
};

// A history in which each step makes exactly one durable change; ends early when a step is not acknowledged.
using Step = std::function<bool(EmbeddedFixture&, StoreClient&, ManualClock&)>;

Step commits(Few<Mutation> changes) {
  return [changes = std::move(changes)](EmbeddedFixture&, StoreClient& client, ManualClock&) {
    return client.commit({.expect = {}, .none_under = {}, .changes = changes}).has_value();
  };
}
Step revokes(LeaseId id) {
  return [id](EmbeddedFixture&, StoreClient& client, ManualClock&) { return client.revoke(id, "").has_value(); };
}
// Lets time pass and waits until what ends by it has ended, on disk too.
Step passes(seconds span) {
  return [span](EmbeddedFixture&, StoreClient& client, ManualClock& clock) {
    clock.advance(span);
    auto found = run_task(client.store().get("", Deadline::never()));
    return found && client.settled(found->as_of).has_value();
  };
}

std::vector<Step> script() {
  const OwnLease own{Ttl{1000}, LeaseId{7}};
  return {
      commits({Put{"a", "1", kLasting}}),
      commits({Put{"a", "2", PooledLease{Ttl{500}}}, Put{"b", "1", own}}),
      commits({Put{"line", kVolatile, SessionLease()}, Put{"c", "1", kLasting}}),
      commits({Put{"a", kVolatile, SessionLease()}}),
      commits({Put{"a", "3", PooledLease{Ttl{3}}}}),
      commits({Erase{"b"}, Erase{"line"}}),
      commits({Put{"d", "1", OwnLease{Ttl{900}, LeaseId{7}}}, Erase{"c"}}),
      passes(seconds(5)),
      commits({Put{"e", "1", PooledLease{Ttl{10}}}, Put{"f", "1", PooledLease{Ttl{900}}}}),
      revokes(LeaseId{7}),
      commits({Put{"a", "4", kLasting}}),
      passes(seconds(12)),
  };
}

class EmbeddedFaults : public EmbeddedHistory {
 protected:
  // The durable state after each step that was acknowledged, the first being the empty one.
  std::vector<State> run_script() {
    std::vector<State> states = {State()};
    for (const Step& step : script()) {
      if (!step(*this, *client, clock)) break;
      states.push_back(durable_part(client->state_under("")));
    }
    return states;
  }

  void restart_from_nothing() {
    close();
    clock.set_wall(WallTime(seconds(1'735'689'600)));
    disk = std::make_shared<MemoryDisk>();
    open();
  }

  void fail_everywhere(MemoryDisk::Failure failure) {
    restart_from_nothing();
    const std::vector<State> states = run_script();
    ASSERT_EQ(states.size(), script().size() + 1);
    ASSERT_EQ(disk->appends(), states.size()) << "one batch a step, and the first revisions";
    for (std::size_t failing = 1; failing < states.size(); ++failing) {
      restart_from_nothing();
      disk->fail_append(failing, failure);
      std::vector<State> acknowledged = run_script();
      ASSERT_EQ(acknowledged.size(), failing);
      State after = recovered(disk);
      bool lost = failure == MemoryDisk::Failure::lost;
      if (lost) {
        EXPECT_EQ(after, acknowledged.back()) << "append " << failing;
      }
      std::size_t reached = lost ? failing - 1 : failing;
      EXPECT_EQ(without_leases(after), without_leases(states[reached])) << "append " << failing;
    }
  }
};

TEST_F(EmbeddedFaults, SafetyR13_AWriteThatIsLostAtAnyPointLosesNothingThatWasAcknowledged) {
  fail_everywhere(MemoryDisk::Failure::lost);
}

TEST_F(EmbeddedFaults, SafetyR13_AWriteThatFailsButLandsAtAnyPointLeavesAStateThatExisted) {
  fail_everywhere(MemoryDisk::Failure::landed);
}

// Random changes by several threads, in groups, and which batches were on disk when each was acknowledged.
class EmbeddedPrefix : public EmbeddedHistory {
 protected:
  struct Acknowledged {
    std::size_t batches;  // so many were on disk by then
    Revision revision;
  };

  // From 0 on, below `end`.
  int draw(int end) { return std::uniform_int_distribution(0, end - 1)(random); }
  std::string random_key() { return "k" + std::to_string(draw(6)); }
  LeaseId random_id() { return LeaseId{1 + draw(4)}; }

  Lifetime random_lifetime() {
    switch (draw(4)) {
      case 0:
        return OwnLease{Ttl{1 + draw(30)}, random_id()};
      case 1:
        return OwnLease{Ttl{1 + draw(30)}, std::nullopt};
      case 2:
        return SessionLease();
      default:
        return PooledLease{Ttl{1 + draw(30)}};
    }
  }

  Mutation random_change(std::string key) {
    if (draw(4) == 0) return Erase{std::move(key)};
    Lifetime lifetime = random_lifetime();
    std::string value = std::holds_alternative<SessionLease>(lifetime) ? kVolatile : std::to_string(draw(1000));
    return Put{std::move(key), std::move(value), lifetime};
  }

  Transaction random_transaction() {
    Transaction transaction;
    transaction.changes.push_back(random_change(random_key()));
    if (draw(3) == 0) transaction.changes.push_back(random_change("m" + std::to_string(draw(3))));
    if (draw(4) == 0) transaction.expect.push_back({random_key(), kAbsent});
    return transaction;
  }

  // While the first of a group is being written, the others gather; during some groups leases end, too.
  void run_group(IoThreads& io) {
    disk->block();
    std::vector<BackgroundCall<Result<Outcome>>> commits;
    std::vector<BackgroundCall<Result<void>>> revocations;
    for (int i = 0, count = 1 + draw(12); i < count; ++i) {
      Executor executor = io.executor(static_cast<std::size_t>(draw(3)));
      if (draw(8) == 0) {
        revocations.emplace_back(executor, store->revoke(random_id(), "", Deadline::never()));
      } else {
        commits.emplace_back(executor, store->commit(random_transaction(), Deadline::never()));
      }
      if (draw(10) == 0) clock.advance(seconds(draw(5)));
    }
    disk->release();
    for (const auto& call : commits) note(call.result());
    for (const auto& call : revocations) call.result();
  }

  void note(const Result<Outcome>& outcome) {
    if (!outcome || !std::holds_alternative<Committed>(*outcome)) return;
    acknowledged.push_back({disk->batches().size(), std::get<Committed>(*outcome).revision});
  }

  // The durable state after every revision, as a watch was told it.
  static std::vector<std::pair<Revision, State>> states_told(const WatchLog& watch) {
    State state;
    std::vector<std::pair<Revision, State>> states = {{watch.snapshots().front().as_of, state}};
    for (const ChangeBatch& batch : watch.batches()) {
      for (const Change& change : batch.changes) {
        if (change.now) state[change.key] = *change.now;
        if (!change.now) state.erase(change.key);
      }
      states.emplace_back(batch.revision, durable_part(state));
    }
    return states;
  }

  void expect_every_prefix_to_be_a_state_that_existed(const std::vector<std::pair<Revision, State>>& states) {
    auto full = disk;
    std::size_t count = full->batches().size(), at = 0;
    for (std::size_t k = 1; k <= count; ++k) {
      State state = recovered(first_batches(*full, k));
      while (at < states.size() && states[at].second != state) ++at;
      ASSERT_LT(at, states.size()) << "the state after " << k << " of " << count << " batches never existed";
      // Later revisions may have had the same state: by changes of volatile entries, or when all was erased again.
      std::size_t latest = states.size() - 1;
      while (states[latest].second != state) --latest;
      for (const Acknowledged& one : acknowledged) {
        if (one.batches > k) continue;
        EXPECT_LE(one.revision, states[latest].first) << "lost after " << k << " batches";
      }
    }
    EXPECT_EQ(states[at].second, states.back().second) << "all batches are all that happened";
  }

  std::mt19937 random;
  std::vector<Acknowledged> acknowledged;
};

TEST_F(EmbeddedPrefix, EveryPrefixOfTheBatchesIsAStateThatExistedAndHoldsWhatWasAcknowledged) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    random.seed(seed);
    acknowledged.clear();
    close();
    disk = std::make_shared<MemoryDisk>();
    open();
    std::vector<std::pair<Revision, State>> states;
    {
      IoThreads io(3);
      WatchLog watch(*store, "");
      ASSERT_TRUE(watch.has_begun());
      for (int group = 0; group < 15; ++group) run_group(io);
      ASSERT_TRUE(eventually([&] { return watch.revision() == client->now(); }));
      ASSERT_TRUE(client->settled(client->now()));
      EXPECT_THAT(watch.faults(), ::testing::IsEmpty());
      states = states_told(watch);
    }
    close();
    expect_every_prefix_to_be_a_state_that_existed(states);
  }
}

}  // namespace
}  // namespace sharedlock::test
