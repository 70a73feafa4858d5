#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/engine.h"
#include "client/keeper.h"
#include "sharedlock/lock.h"

namespace sharedlock::client {

// The inside of a Lock or Lease. The engine lives as long as this does; the keeper as long as it has work.
class Holding::State {
 public:
  State(std::shared_ptr<Engine> its_engine, std::shared_ptr<Keeper> its_keeper)
      : engine(std::move(its_engine)), keeper(std::move(its_keeper)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { Keeper::end(keeper, nullptr); }

  const std::shared_ptr<Engine> engine;
  const std::shared_ptr<Keeper> keeper;
  std::string namespace_name;
  std::vector<std::string> names;
  std::vector<std::int64_t> tokens;
  std::int64_t lease = 0;
};

}  // namespace sharedlock::client
