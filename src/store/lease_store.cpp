#include "store/lease_store.h"

#include <algorithm>
#include <string_view>

#include "base/random.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace {

std::optional<Ttl> ttl_of(const Lifetime& lifetime) {
  if (auto* own = std::get_if<OwnLease>(&lifetime)) return own->ttl;
  if (auto* pooled = std::get_if<PooledLease>(&lifetime)) return pooled->ttl;
  return std::nullopt;
}

Error refused(std::string_view why) {
  return {Errc::invalid_argument, std::string(why)};
}

}  // namespace

const std::string& key_of(const Mutation& mutation) {
  return std::visit([](const auto& change) -> const std::string& { return change.key; }, mutation);
}

const OwnLease* own_lease_of(const Mutation& mutation) {
  const Put* put = std::get_if<Put>(&mutation);
  return put ? std::get_if<OwnLease>(&put->lifetime) : nullptr;
}

std::optional<LeaseId> shown_lease(const Entry& entry) {
  bool shown = entry.lease != LeaseId{0} && !is_shared_lease(entry.lease);
  return shown ? std::optional(entry.lease) : std::nullopt;
}

Result<void> check(const Transaction& transaction) {
  for (const Expect& expect : transaction.expect) {
    if (expect.key.empty()) return refused("a key may not be empty");
  }
  int own_leases = 0;
  for (auto change = transaction.changes.begin(); change != transaction.changes.end(); ++change) {
    const std::string& key = key_of(*change);
    if (key.empty()) return refused("a key may not be empty");
    auto same_key = [&](const Mutation& other) { return key_of(other) == key; };
    if (std::find_if(std::next(change), transaction.changes.end(), same_key) != transaction.changes.end()) {
      return refused("one transaction can't change one key twice");
    }
    const Put* put = std::get_if<Put>(&*change);
    if (auto ttl = put ? ttl_of(put->lifetime) : std::nullopt; ttl && *ttl < Ttl{1}) {
      return refused("a ttl is at least one second");
    }
    if (const OwnLease* own = own_lease_of(*change)) {
      if (++own_leases > 1) return refused("one transaction can't grant two own leases");
      if (own->id && *own->id <= LeaseId{0}) return refused("a lease id is positive");
    }
  }
  return {};
}

LeaseId random_lease_id() {
  for (;;) {
    LeaseId id{static_cast<std::int64_t>(random_bits() >> 1)};
    if (id != LeaseId{0} && !is_shared_lease(id)) return id;
  }
}

}  // namespace sharedlock
