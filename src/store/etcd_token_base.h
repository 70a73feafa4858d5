#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/etcd_options.h"
#include "store/shared_work.h"

namespace sharedlock {

class EtcdClient;

// Where it stands: a key that every server may read.
inline constexpr const char* kTokenBaseKey = "/shared-lock.meta/token-base";

// What is added to etcd's revisions to make fencing tokens (R31): one key of the cluster, read before anything is
// answered. The first server writes it, and then it never changes. Thread-safe.
class EtcdTokenBase {
 public:
  // `wanted`: to be written where there is none, and insisted on where there is one.
  EtcdTokenBase(EtcdClient& client, std::optional<std::int64_t> wanted);

  // Ends when it is known. `unavailable`: etcd did not answer, or what stands there is not what was wanted.
  Task<Result<void>> known(Deadline deadline);

  // Only after known() has succeeded.
  std::int64_t value() const { return value_; }

 private:
  Task<Result<void>> read(Deadline deadline);
  Result<void> take(const std::string& text);

  EtcdClient& client_;
  const std::optional<std::int64_t> wanted_;
  std::atomic<bool> known_ = false;
  std::atomic<std::int64_t> value_ = 0;
  SharedWork<Result<void>> reading_;
};

}  // namespace sharedlock
