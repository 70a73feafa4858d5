#pragma once

// Every order of events over small scenes of waiting, in the world of queue_world_test.h. No client may be stuck in the
// end, nor overtaken on the way (R22 to R26). Connections are cut, and clients come back or don't (R37): a client that
// is away never gets its turn, one that comes back has its entry, and no entry is left behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "queue/queue_world_test.h"
#include "support/effort.h"

namespace sharedlock::scenes {

using Path = std::vector<World::Action>;

inline std::string text_of(const Path& path) {
  std::ostringstream out;
  for (auto [what, i] : path) out << what << i << ' ';
  return out.str();
}

// At the end: once time has mended what it can, no client may still wait, and no entry may be left.
inline std::string ends_well(const Scene& scene, const Path& path) {
  World world(scene);
  for (auto action : path) world.act(action);
  for (int rounds = 0; rounds < 20; ++rounds) {
    if (world.stuck().empty() && world.left_behind().empty()) return {};
    for (int steps = 0; steps < 200; ++steps) {
      auto next = world.actions();
      if (next.empty()) break;
      world.act(next.front());
      world.check_invariants();
    }
    if (!world.fault().empty()) return world.fault();
    world.let_time_pass();
    world.check_invariants();
  }
  if (!world.stuck().empty()) return world.stuck() + " is stuck";
  return world.left_behind().empty() ? std::string() : world.left_behind() + " is left behind";
}

struct Explored {
  std::size_t states = 0;
  std::size_t ends = 0;
  bool complete = false;
  std::string fault;
};

// All states that can be reached, told apart by their texts; each is reached again by its path.
inline Explored explore(const Scene& scene, std::size_t most) {
  Explored explored;
  std::unordered_set<std::string> seen;
  std::vector<Path> open{{}};
  while (!open.empty()) {
    if (explored.states == most) return explored;
    Path path = std::move(open.back());
    open.pop_back();
    World world(scene);
    for (auto action : path) world.act(action);
    if (!seen.insert(world.text()).second) continue;
    world.check_invariants();  // those on the path are behind it
    ++explored.states;
    if (!world.fault().empty()) {
      explored.fault = world.fault() + " after " + text_of(path);
      return explored;
    }
    auto next = world.actions();
    if (next.empty()) {
      ++explored.ends;
      std::string fault = ends_well(scene, path);
      if (!fault.empty()) {
        explored.fault = fault + " after " + text_of(path);
        return explored;
      }
    }
    for (auto action : next) {
      open.push_back(path);
      open.back().push_back(action);
    }
  }
  explored.complete = true;
  return explored;
}

// Where there are too many states to see all: random walks.
inline std::string wander(const Scene& scene, int walks) {
  std::mt19937 random(20);
  for (int walk = 0; walk < walks; ++walk) {
    World world(scene);
    Path path;
    for (auto next = world.actions(); !next.empty(); next = world.actions()) {
      path.push_back(next[random() % next.size()]);
      world.act(path.back());
      world.check_invariants();
      if (!world.fault().empty()) return world.fault() + " after " + text_of(path);
    }
    std::string fault = ends_well(scene, path);
    if (!fault.empty()) return fault + " after " + text_of(path);
  }
  return {};
}

// More of both by hand: SHARED_LOCK_EXPLORE=100.
inline int effort() {
  const char* asked = std::getenv("SHARED_LOCK_EXPLORE");
  return asked ? std::max(1, std::atoi(asked)) : 1;
}

// `share`: of the usual effort, where there are many scenes of a kind.
inline void expect_well(const Scene& scene, int share = 1) {
  int states = (test::kFullSpeed ? 20'000 : 500) / share * effort();
  int walks = (test::kFullSpeed ? 3'000 : 100) / share * effort();
  Explored explored = explore(scene, static_cast<std::size_t>(states));
  EXPECT_EQ(explored.fault, "");
  if (test::kFullSpeed && share == 1) {
    EXPECT_GT(explored.ends, 0u);
  }
  std::printf("%zu states, %zu ends%s\n", explored.states, explored.ends, explored.complete ? "" : ", not all");
  if (!explored.complete) {
    EXPECT_EQ(wander(scene, walks), "");
  }
}

}  // namespace sharedlock::scenes
