#include "app/etcd_settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "app/pem_files.h"

namespace sharedlock {

namespace {

using config::LoadedSettings;
using config::PemPath;

// Only a path that surely does not exist counts as none: one that can't be checked is reported when it is read.
bool is_missing(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

std::optional<PemFile> pem_file(const LoadedSettings& loaded, const PemPath& path, const std::string& property) {
  if (path.path.empty() || (!path.was_set && is_missing(path.path))) return std::nullopt;
  const std::string& given_as = loaded.origin_of(property).name;
  return PemFile{.setting = given_as.empty() ? property + " (by default)" : given_as, .path = path.path};
}

Error lonely(const PemFile& file, const std::string& missing) {
  std::string why = file.setting + ": " + file.path + " is of no use alone: " + missing + " is missing";
  return {Errc::invalid_argument, std::move(why)};
}

Result<EtcdTls> read_tls(const LoadedSettings& loaded) {
  const auto& settings = loaded.settings;
  EtcdTls tls;
  auto ca = pem_file(loaded, settings.etcd_ca_cert, "locker.etcd.tls.caCertPath");
  if (ca) {
    auto authorities = read_authorities(*ca);
    if (!authorities) return authorities.error();
    tls.ca = *std::move(authorities);
  }
  auto certificate = pem_file(loaded, settings.etcd_client_cert, "locker.etcd.tls.clientCertPath");
  auto key = pem_file(loaded, settings.etcd_client_key, "locker.etcd.tls.clientKeyPath");
  if (certificate && !key) return lonely(*certificate, "the key (locker.etcd.tls.clientKeyPath)");
  if (key && !certificate) return lonely(*key, "the certificate (locker.etcd.tls.clientCertPath)");
  if (certificate) {
    auto identity = read_identity(*certificate, *key);
    if (!identity) return identity.error();
    tls.certificate = std::move(identity->certificate);
    tls.key = std::move(identity->key);
  }
  return tls;
}

std::optional<std::int64_t> token_base(const LoadedSettings& loaded) {
  if (loaded.origin_of("shared-lock.token-base").source == config::Source::defaults) return std::nullopt;
  return static_cast<std::int64_t>(loaded.settings.token_base);
}

}  // namespace

Result<EtcdOptions> etcd_options(const LoadedSettings& loaded) {
  const auto& settings = loaded.settings;
  EtcdOptions options;
  options.endpoints = settings.etcd_endpoints;
  options.username = settings.etcd_username;
  options.password = settings.etcd_password;
  options.request_timeout = settings.etcd_request_timeout;
  options.max_retries = static_cast<int>(settings.max_retries);
  options.advice = "for one machine without etcd, set SHARED_LOCK_STORAGE_TYPE=embedded";
  options.token_base = token_base(loaded);
  options.key_prefix = settings.key_prefix;
  options.shared_leases = settings.etcd_leases == config::EtcdLeaseKind::shared;
  options.largest_ttl = std::max<Ttl>(settings.max_lease_ttl, options.largest_ttl);
  if (!config::uses_etcd_tls(settings)) return options;
  auto tls = read_tls(loaded);
  if (!tls) return tls.error();
  options.https = *tls;
  if (settings.etcd_tls) options.tls = *std::move(tls);
  return options;
}

}  // namespace sharedlock
