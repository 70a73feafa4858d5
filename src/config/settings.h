#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace sharedlock::config {

enum class StorageType { etcd, embedded, memory };

// Whether the lease API demands the same authentication as the lock API.
enum class LeaseAuthentication { inherit, off };

// What a lease of the lease API is in etcd: an entry that shares a lease of etcd with others, or has one of its own.
enum class EtcdLeaseKind { shared, own };

// The path of a PEM file. If it was set, the file must exist; the default counts only if the file does.
struct PemPath {
  std::string path;  // empty: none
  bool was_set = false;

  friend bool operator==(const PemPath&, const PemPath&) = default;
};

// Everything that can be set. The member initializers are the only place of the defaults; names, help and bounds are in
// the table of options.cpp. Times: 0 = no limit, unless it says otherwise. Only `app` reads this; other layers get what
// they need in option structs of their own.
struct Settings {
  // The HTTP server.
  std::string server_address;        // empty: all interfaces
  std::uint16_t server_port = 8080;  // 0: the kernel picks one
  std::uint64_t server_threads = 0;  // 0: available_cpus()
  std::chrono::nanoseconds server_read_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds server_write_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds server_idle_timeout = std::chrono::seconds(120);
  std::chrono::nanoseconds server_shutdown_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds server_drain_delay{0};  // 0: none
  std::uint64_t max_connections = 0;               // 0: as many as fit
  std::uint64_t max_connections_per_address = 0;   // 0: half of max_connections
  std::uint64_t max_requests_in_flight = 0;        // 0: no limit
  std::uint64_t max_waiters = 0;             // 0: half of the smaller of max_connections and max_requests_in_flight
  std::uint64_t max_buffered_bytes = 0;      // 0: an eighth of the memory, at most 256 MiB
  std::vector<std::string> trusted_proxies;  // IP addresses and networks such as 10.0.0.0/8
  std::vector<std::string> allowed_origins;  // such as https://console.example.org

  // Logs and profiles. LoadedSettings has `debug` already applied to `log_level`.
  LogLevel log_level = LogLevel::warn;
  bool debug = false;
  bool pprof_enabled = false;

  // Where locks are kept.
  StorageType storage_type = StorageType::etcd;
  std::filesystem::path data_dir = "./shared-lock-data";

  // etcd.
  std::vector<std::string> etcd_endpoints{"http://localhost:2379"};  // each [http[s]://]host:port
  std::chrono::milliseconds etcd_request_timeout{5000};              // at least 1 ms
  std::string etcd_username;                                         // empty: none
  std::string etcd_password;
  bool etcd_tls = false;
  PemPath etcd_ca_cert{"/etc/etcd/ca.crt"};
  PemPath etcd_client_cert{"/etc/etcd/client.crt"};
  PemPath etcd_client_key{"/etc/etcd/client.key"};
  EtcdLeaseKind etcd_leases = EtcdLeaseKind::shared;
  bool cache_enabled = false;
  std::uint64_t cache_size = 1000;  // entries

  // Locks and leases.
  std::string key_prefix = "locks/";
  std::uint64_t max_retries = 3;  // attempts = max_retries + 1
  Ttl max_lease_ttl = std::chrono::hours(24);
  bool expose_holder_lease_id = false;
  std::uint64_t token_base = 0;
  bool strict_compatibility = false;

  // Access.
  bool authentication_disabled = false;
  LeaseAuthentication lease_authentication = LeaseAuthentication::inherit;
  std::string jwt_issuer;                   // empty: not checked
  std::string jwt_jwks;                     // URL; empty: discovered from the issuer
  std::string jwt_audience;                 // empty: not checked
  std::vector<std::string> admin_subjects;  // `sub` claims of administrators
  std::string admin_claim;                  // `name` (must be true) or `name=value`; empty: none
  std::string admin_token;                  // what X-Admin-Token must equal; empty: no such token
};

// Whether connections to etcd, or some of them, use TLS: by the setting for all, or by an endpoint.
bool uses_etcd_tls(const Settings& settings);

}  // namespace sharedlock::config
