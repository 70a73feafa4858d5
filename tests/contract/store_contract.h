#pragma once

#include "contract/commit_contract.h"
#include "contract/concurrency_contract.h"
#include "contract/lease_contract.h"
#include "contract/lease_info_contract.h"
#include "contract/list_contract.h"
#include "contract/watch_contract.h"

// Runs the whole contract of LeaseStore on `Backend` (see contract/store_fixture.h), in namespace sharedlock::test:
// tests `Name/StoreCommit/0.CreatesAnAbsentKey`, and so on.
#define SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(Name, Backend)        \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreCommit, Backend);       \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreInvalid, Backend);      \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreLeases, Backend);       \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreLeaseInfo, Backend);    \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreList, Backend);         \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreWatch, Backend);        \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreSubscription, Backend); \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, StoreConcurrency, Backend)
