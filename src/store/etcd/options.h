#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sharedlock {

// Contents of PEM files, checked when they were read: gRPC does not report a bad one. Empty: none.
struct EtcdTls {
  std::string ca;  // empty: the machine's own authorities
  std::string certificate;
  std::string key;
};

// Calls to a store's owner when etcd has forgotten something (R32): each at most once, on a thread of the store. They
// must not block.
struct EtcdLossHandler {
  std::function<void()> refuses;     // from now on every call is refused, so no request need wait
  std::function<void()> begin_anew;  // nothing granted before can still be held: make another store
};

// How to reach an etcd cluster.
struct EtcdOptions {
  std::vector<std::string> endpoints{"http://localhost:2379"};  // see parse_etcd_endpoint(); at least one
  std::optional<EtcdTls> tls;                                   // given: every connection uses TLS
  EtcdTls https;                                                // for https endpoints if `tls` is not given
  std::string username;                                         // empty: no authentication
  std::string password;
  std::chrono::milliseconds request_timeout{5000};  // of a whole request, which may be tried more than once
  int max_retries = 3;                              // attempts = max_retries + 1, where repeating is safe
  std::string advice;                               // added to "etcd does not answer": what else might help
  std::optional<std::int64_t> token_base;           // the base of fencing tokens to set, or to insist on (R31)
  std::string key_prefix = "locks/";                // of the keys of locks; announced to the other servers
  std::chrono::seconds largest_ttl{86400};          // no promise is made for longer (R32)
  bool shared_leases = true;                        // new OwnLeases share etcd's: renewed by commits (R33)
};

}  // namespace sharedlock
