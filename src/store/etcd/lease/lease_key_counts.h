#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "store/lease_store.h"

namespace sharedlock {

// How many keys hang on each lease, as seen by a watch of their prefix. It may know of fewer than there are (a change
// not yet delivered, a lease for which there was no room), so an absent lease is unknown, not lost. Takes 20 to 40
// bytes for each lease. Thread-safe.
class LeaseKeyCounts {
 public:
  // The approximate limit of leases remembered.
  explicit LeaseKeyCounts(std::size_t most = std::size_t{1} << 22) : most_in_table_(most / kTables) {}

  void on_event(const WatchEvent& event);

  // Whether a key surely hung on it a short time ago. Also false before the first Snapshot, and while the watch is not
  // live.
  bool has_key(LeaseId id) const;

  // This server has ended it, or may have.
  void forget(LeaseId id);

 private:
  // Many small tables, so that growth never stalls callers for long.
  static constexpr std::size_t kTables = 256;
  using Table = boost::unordered_flat_map<std::int64_t, std::uint32_t>;
  using Tables = std::array<Table, kTables>;

  static Table& table_of(Tables& tables, LeaseId id) { return tables[static_cast<std::size_t>(id) % kTables]; }
  void add(Tables& tables, LeaseId id) const;
  void take(const Change& change);

  const std::size_t most_in_table_;
  mutable std::mutex mutex_;
  bool begun_ = false;
  bool live_ = true;  // once it has begun
  mutable Tables tables_;
};

}  // namespace sharedlock
