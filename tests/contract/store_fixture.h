#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/random.h"
#include "contract/store_client.h"
#include "contract/watch_log.h"
#include "support/eventually.h"

namespace sharedlock::test {

// What every contract test has. `Backend` is default-constructible and offers
//   LeaseStore& store();
//   Clock& clock();                        // by which the store goes
//   void pass(std::chrono::seconds span);  // lets the time that leases go by pass: a ManualClock's, or really waits
// Several tests may share one store: each uses only keys of its own.
//
// A store need not be exact: an entry surely lives for its ttl, and is gone 2 s later. So a test finds it alive 1 s
// before that, and after pass(kTtl + kSlack) polls until it is gone.
template <class Backend>
class StoreContract : public ::testing::Test {
 protected:
  static constexpr Ttl kTtl{4};
  static constexpr std::chrono::seconds kSlack{2};

  std::string key(const std::string& name) const { return prefix + name; }

  BootTime boot_now() { return backend.clock().boot_now(); }

  bool comes_to_an_end(const std::string& name) {
    return eventually([&] { return !client.get(key(name)); });
  }
  bool lease_comes_to_an_end(LeaseId id) {
    return eventually([&] { return !client.lease(id); });
  }

  // An id as a client of the store would choose it.
  static LeaseId some_lease_id() { return LeaseId{static_cast<std::int64_t>((random_bits() >> 2) + 1)}; }

  Backend backend;
  StoreClient client{backend.store()};
  const std::string prefix = "/contract/" + random_uuid() + "/";
};

}  // namespace sharedlock::test
