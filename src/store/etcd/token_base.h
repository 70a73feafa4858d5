#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "base/task.h"
#include "store/etcd/options.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdClient;

// Its key, which every server may read.
inline constexpr const char* kTokenBaseKey = "/shared-lock.meta/token-base";
std::optional<std::int64_t> parse_token_base(std::string_view text);  // nothing: not such a number

// What is added to etcd's revisions to make fencing tokens (R31): one key of the cluster, read before anything is
// answered. The first server writes it; it changes only when etcd has forgotten something (EtcdLoss), and then another
// store takes over. Thread-safe.
class EtcdTokenBase {
 public:
  // `wanted`: written if there is none; an existing base must not be less.
  EtcdTokenBase(EtcdClient& client, std::optional<std::int64_t> wanted);

  // Ends when it is known. `unavailable`: etcd did not answer, or the existing base is not the wanted one.
  Task<Result<void>> known(Deadline deadline);

  // The base as of a revision: the same, or nobody can tell yet; a higher number; nothing, or something else.
  enum class Change { none, raised, lost };
  Change change(const std::optional<std::string>& stands, Revision as_of);

  bool is_known() const { return known_; }

  // Only after known() has succeeded.
  std::int64_t value() const { return value_; }

  // As found in etcd, for comparisons there: one number may be written in several ways.
  std::string text() const;

 private:
  Task<Result<void>> read(Deadline deadline);
  Result<void> take(const std::string& text, Revision as_of);

  EtcdClient& client_;
  const std::optional<std::int64_t> wanted_;
  std::atomic<bool> known_ = false;
  std::atomic<std::int64_t> value_ = 0;
  std::atomic<Revision> known_at_{kAbsent};
  mutable std::mutex mutex_;
  std::string text_;
  SingleFlight<Result<void>> reading_;
};

}  // namespace sharedlock
