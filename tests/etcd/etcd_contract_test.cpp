#include <thread>

#include "base/clock.h"
#include "contract/store_contract.h"
#include "store/etcd/etcd_store.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"

namespace sharedlock::test {

// All tests of the program share one etcd; each has a store of its own on it. `Shared`: its OwnLeases share etcd's
// (R33).
template <bool Shared>
class EtcdBackend {
 public:
  LeaseStore& store() { return *store_; }
  Clock& clock() { return clock_; }
  void pass(std::chrono::seconds span) {
    std::this_thread::sleep_for(span);  // real time: nobody can move etcd's clock
  }

 private:
  static EtcdOptions options() {
    EtcdOptions options;
    options.endpoints = EtcdServer::shared().urls();
    options.shared_leases = Shared;
    return options;
  }

  SystemClock clock_;
  std::unique_ptr<LeaseStore> store_ = make_etcd_store(options(), clock_, silent_log()).value();
};

SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(Etcd, EtcdBackend<true>);
SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(EtcdOwnLeases, EtcdBackend<false>);

}  // namespace sharedlock::test
