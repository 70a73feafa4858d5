#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/etcd_server.h"

namespace sharedlock::test {

// What etcd holds at a key, as etcdctl tells.
struct StoredKey {
  bool found = false;
  std::string value;
  std::int64_t lease = 0;  // 0: none
  std::int64_t mod_revision = 0;
};
StoredKey stored(EtcdServer& etcd, const std::string& key);

// A lease, as etcdctl tells of it.
struct StoredLease {
  std::int64_t granted = 0;
  std::int64_t left = 0;  // -1: it has ended
  std::vector<std::string> keys;
};
StoredLease stored_lease(EtcdServer& etcd, std::int64_t id);

// As the programs that we replace write: a key under a lease of its own; returns the lease's id.
std::int64_t put_under_lease(EtcdServer& etcd, const std::string& key, const std::string& value, int ttl);

// As they begin a holding: put the key if it is not there; false when it is.
bool put_if_absent(EtcdServer& etcd, const std::string& key, const std::string& value);

// A lease id as etcdctl takes it.
std::string in_hex(std::int64_t id);

}  // namespace sharedlock::test
