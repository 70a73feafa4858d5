// All small batches that the plan lets go together, in all states of their keys. Carried out by etcd's rules, they must
// have the same result as one after the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "store/etcd/write/batch_plan.h"
#include "support/effort.h"

namespace sharedlock {
namespace {

const std::array<std::string, 3> kKeys = {"lock", "other", "line/1"};
const std::string kLine = "line/";

// The value of a key: none, the initial one, or one written since.
enum class Stands { nothing, seen, written };
constexpr Revision kSeen{5};
using State = std::array<Stands, kKeys.size()>;

std::size_t place_of(const std::string& key) {
  return static_cast<std::size_t>(std::ranges::find(kKeys, key) - kKeys.begin());
}

bool holds(const Transaction& transaction, const State& state) {
  for (const Expect& expect : transaction.expect) {
    Stands wanted = expect.at == kAbsent ? Stands::nothing : Stands::seen;
    if (state[place_of(expect.key)] != wanted) return false;
  }
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    bool must_be_empty = !transaction.none_under.empty() && kKeys[i].starts_with(kLine);
    if (must_be_empty && state[i] != Stands::nothing) return false;
  }
  return true;
}

void apply(const Transaction& transaction, State& state) {
  for (const Mutation& change : transaction.changes) {
    bool erases = std::holds_alternative<Erase>(change);
    state[place_of(key_of(change))] = erases ? Stands::nothing : Stands::written;
  }
}

// Which transactions succeeded, and what stands there afterwards.
struct Outcome {
  std::vector<bool> succeeded;
  State state;

  bool operator==(const Outcome&) const = default;
};

using Batch = std::span<const Transaction* const>;

// As etcd does it: it makes all comparisons of the batch before any change. Nothing: it refuses the batch, which
// changes a key twice.
std::optional<Outcome> in_a_batch(Batch batch, State state) {
  Outcome outcome;
  std::set<std::string> changed;
  for (const Transaction* transaction : batch) {
    outcome.succeeded.push_back(holds(*transaction, state));
    for (const Mutation& change : transaction->changes) {
      if (!changed.insert(std::string(key_of(change))).second) return std::nullopt;
    }
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (outcome.succeeded[i]) apply(*batch[i], state);
  }
  outcome.state = state;
  return outcome;
}

Outcome one_after_the_other(Batch batch, const std::vector<std::size_t>& order, State state) {
  Outcome outcome;
  outcome.succeeded.resize(batch.size());
  for (std::size_t i : order) {
    outcome.succeeded[i] = holds(*batch[i], state);
    if (outcome.succeeded[i]) apply(*batch[i], state);
  }
  outcome.state = state;
  return outcome;
}

bool comes_out_as_in_every_order(Batch batch, const State& state) {
  std::vector<std::size_t> order(batch.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  auto together = in_a_batch(batch, state);
  do {
    if (together != one_after_the_other(batch, order, state)) return false;
  } while (std::ranges::next_permutation(order).found);
  return true;
}

// Up to two expectations of two keys, with and without a queue that must be empty, and one change.
std::vector<Transaction> all_transactions() {
  std::vector<Transaction> all;
  for (std::size_t expected = 0; expected < 27; ++expected) {
    for (bool empty : {false, true}) {
      for (std::size_t changed = 0; changed < 2 * kKeys.size(); ++changed) {
        Transaction transaction;
        std::size_t digits = expected;
        for (const std::string& key : kKeys) {
          if (digits % 3 != 0) transaction.expect.push_back({key, digits % 3 == 1 ? kAbsent : kSeen});
          digits /= 3;
        }
        if (transaction.expect.size() > 2) continue;
        if (empty) transaction.none_under.push_back(kLine);
        const std::string& key = kKeys[changed / 2];
        if (changed % 2 == 0) transaction.changes.emplace_back(Put{key, "value", PooledLease{Ttl{10}}});
        if (changed % 2 == 1) transaction.changes.emplace_back(Erase{key});
        all.push_back(std::move(transaction));
      }
    }
  }
  return all;
}

std::vector<State> all_states() {
  std::vector<State> all;
  for (unsigned bits = 0; bits < 8; ++bits) {
    State state{};
    for (std::size_t i = 0; i < state.size(); ++i) state[i] = (bits >> i) % 2 == 1 ? Stands::seen : Stands::nothing;
    all.push_back(state);
  }
  return all;
}

bool go_together(Batch batch) {
  EtcdBatchPlan plan;
  return std::ranges::all_of(batch, [&](const Transaction* transaction) { return plan.take(*transaction, 100); });
}

struct Explored {
  int together = 0;       // batches
  int wrong = 0;          // of them, and a state: where it matters that they went together
  int rightly_apart = 0;  // batches that the plan does not let go: and in some state it would have mattered
};

void explore(Batch batch, const std::vector<State>& states, Explored& explored) {
  bool together = go_together(batch);
  bool differs =
      !std::ranges::all_of(states, [&](const State& state) { return comes_out_as_in_every_order(batch, state); });
  explored.together += together ? 1 : 0;
  explored.wrong += together && differs ? 1 : 0;
  explored.rightly_apart += !together && differs ? 1 : 0;
}

TEST(EtcdBatchExplorer, SafetyR15_TwoTransactionsInABatchActAsOneAfterTheOther) {
  auto transactions = all_transactions();
  auto states = all_states();
  Explored explored;
  for (const Transaction& first : transactions) {
    for (const Transaction& second : transactions)
      explore(std::array<const Transaction*, 2>{&first, &second}, states, explored);
  }
  EXPECT_GT(explored.together, 100);
  EXPECT_EQ(explored.wrong, 0);
  EXPECT_GT(explored.rightly_apart, 1000) << "it would notice";
}

// Sanitizers see a part of them.
constexpr std::size_t kStep = test::kFullSpeed ? 1 : 7;

TEST(EtcdBatchExplorer, SafetyR15_ThreeTransactionsInABatchActAsOneAfterTheOther) {
  auto transactions = all_transactions();
  auto states = all_states();
  Explored explored;
  for (std::size_t i = 0; i < transactions.size(); i += kStep) {
    for (std::size_t j = i + 1; j < transactions.size(); ++j) {
      if (!go_together(std::array<const Transaction*, 2>{&transactions[i], &transactions[j]})) continue;
      for (const Transaction& third : transactions) {
        explore(std::array<const Transaction*, 3>{&transactions[i], &transactions[j], &third}, states, explored);
      }
    }
  }
  EXPECT_GT(explored.together, 100);
  EXPECT_EQ(explored.wrong, 0);
  EXPECT_GT(explored.rightly_apart, 1000) << "it would notice";
}

}  // namespace
}  // namespace sharedlock
