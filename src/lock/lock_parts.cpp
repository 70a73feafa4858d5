#include "lock/lock_parts.h"

namespace sharedlock {

LockParts::LockParts(const LockServiceOptions& options, LeaseStore& the_store, Clock& the_clock, Log& log)
    : max_retries(options.max_retries),
      request_timeout(options.request_timeout),
      store(the_store),
      clock(the_clock),
      keys(options.key_prefix),
      records(store, clock, log),
      written(store),
      set_commits(max_retries, request_timeout, store, clock, records, written),
      queues({.followed = {keys.prefix()},
              .part_of = [this](const std::string& name) { return keys.part_of(name); },
              .see_lock = [this](const Entry& entry) { return records.see(entry); },
              .request_timeout = request_timeout},
             store, clock, log),
      undone(request_timeout, store, clock, log, keys) {}

}  // namespace sharedlock
