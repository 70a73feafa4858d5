#include "lock/decided.h"

namespace sharedlock {

Transaction transaction_for(const std::string& key, const Decision& decision, const std::optional<HeldLock>& seen) {
  Transaction transaction;
  transaction.expect.push_back({key, seen ? seen->revision : kAbsent});
  if (auto* write = std::get_if<WriteRecord>(&decision)) {
    transaction.changes.emplace_back(Put{key, to_json(write->record), PooledLease{write->ttl}});
  } else {
    transaction.changes.emplace_back(Erase{key});
  }
  return transaction;
}

bool is_write(const Decision& decision) {
  return std::holds_alternative<WriteRecord>(decision) || std::holds_alternative<EraseRecord>(decision);
}

}  // namespace sharedlock
