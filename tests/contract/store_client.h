#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "store/lease_store.h"
#include "support/run_task.h"
#include "support/store_printers.h"

namespace sharedlock::test {

// Long enough never to end within a test.
inline constexpr PooledLease kLasting{Ttl{600}};

template <class T>
std::optional<Errc> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

// A LeaseStore for tests: calls block, and what a test takes for granted throws when it is not so. Thread-safe.
class StoreClient {
 public:
  explicit StoreClient(LeaseStore& store) : store_(store) {}

  Found find(std::string key) { return run_task(store_.get(std::move(key), Deadline::never())).value(); }
  std::optional<Entry> get(std::string key) { return find(std::move(key)).entry; }
  Revision now() { return find("/contract/nothing").as_of; }

  Result<Outcome> commit(Transaction transaction) {
    return run_task(store_.commit(std::move(transaction), Deadline::never()));
  }
  // A commit that must be applied; one that must lose.
  Committed apply(Transaction transaction) { return std::get<Committed>(commit(std::move(transaction)).value()); }
  Conflict lose(Transaction transaction) { return std::get<Conflict>(commit(std::move(transaction)).value()); }

  Committed put(std::string key, std::string value, Lifetime lifetime = kLasting) {
    Put change{std::move(key), std::move(value), lifetime};
    return apply({.expect = {}, .none_under = {}, .changes = {std::move(change)}});
  }
  Committed create(std::string key, std::string value, Lifetime lifetime = kLasting) {
    return apply(creation(std::move(key), std::move(value), lifetime));
  }
  Committed erase(std::string key) {
    return apply({.expect = {}, .none_under = {}, .changes = {Erase{std::move(key)}}});
  }
  static Transaction creation(std::string key, std::string value, Lifetime lifetime = kLasting) {
    return {.expect = {{key, kAbsent}}, .none_under = {}, .changes = {Put{key, std::move(value), lifetime}}};
  }

  Result<Ttl> keep_alive(LeaseId id, std::string under) {
    return run_task(store_.keep_alive(id, std::move(under), Deadline::never()));
  }
  Result<void> revoke(LeaseId id, std::string under) {
    return run_task(store_.revoke(id, std::move(under), Deadline::never()));
  }
  std::optional<LeaseInfo> lease(LeaseId id) { return run_task(store_.lease(id, Deadline::never())).value(); }
  std::optional<LeaseLife> lease_life(LeaseId id) { return run_task(store_.lease_life(id, Deadline::never())).value(); }
  std::vector<std::string> keys_of(LeaseId id) {
    auto info = lease(id);
    if (!info) throw std::logic_error("no such lease");
    return info->keys;
  }

  Result<void> settled(Revision as_of) { return run_task(store_.settled(as_of, Deadline::never())); }

  Listing list(std::string prefix, std::string after = "", std::size_t limit = 1000) {
    return run_task(store_.list(std::move(prefix), std::move(after), limit, Deadline::never())).value();
  }
  std::vector<std::string> keys_under(std::string prefix) {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : list(std::move(prefix)).entries) keys.push_back(key);
    return keys;
  }
  std::map<std::string, Entry> state_under(std::string prefix) {
    Listing listing = list(std::move(prefix));
    if (listing.more) throw std::logic_error("more entries than a test should make");
    return {listing.entries.begin(), listing.entries.end()};
  }

  LeaseStore& store() { return store_; }

 private:
  LeaseStore& store_;
};

}  // namespace sharedlock::test
