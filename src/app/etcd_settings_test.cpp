#include "app/etcd_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/etcd_tls_files.h"

namespace sharedlock {
namespace {

using test::EtcdTlsFiles;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Environment = std::map<std::string, std::string>;

Result<EtcdOptions> options_of(const Environment& environment) {
  return etcd_options(config::load({.flags = {}, .environment = environment, .file = {}}));
}

std::string fault_of(const Environment& environment) {
  auto options = options_of(environment);
  return options ? "" : options.error().message;
}

TEST(EtcdSettings, TheDefaultsAreTheSeeds) {
  auto options = options_of({}).value();
  EXPECT_THAT(options.endpoints, ElementsAre("http://localhost:2379"));
  EXPECT_FALSE(options.tls);
  EXPECT_FALSE(options.token_base);
  EXPECT_EQ(options.username, "");
  EXPECT_EQ(options.request_timeout, std::chrono::seconds(5));
  EXPECT_EQ(options.max_retries, 3);
}

TEST(EtcdSettings, EverySettingArrives) {
  EtcdTlsFiles files;
  auto options = options_of({{"SHARED_LOCK_ETCD_ADDR_LIST", "a:1, b:2"},
                             {"SHARED_LOCK_ETCD_TLS", "true"},
                             {"SHARED_LOCK_CA_CERT_PATH", files.ca()},
                             {"SHARED_LOCK_CLIENT_CERT_PATH", files.client_certificate()},
                             {"SHARED_LOCK_CLIENT_KEY_PATH", files.client_key()},
                             {"LOCKER_ETCD_REQUEST_TIMEOUT_MS", "10000"},
                             {"LOCKER_ETCD_MAX_RETRIES", "5"},
                             {"LOCKER_ETCD_AUTH_USERNAME", "lockservice"},
                             {"LOCKER_ETCD_AUTH_PASSWORD", "secret"},
                             {"SHARED_LOCK_TOKEN_BASE", "12345"}})
                     .value();
  EXPECT_THAT(options.endpoints, ElementsAre("a:1", "b:2"));
  ASSERT_TRUE(options.tls);
  EXPECT_EQ(options.tls->ca, files.authority().certificate());
  EXPECT_THAT(options.tls->certificate, StartsWith("-----BEGIN CERTIFICATE-----"));
  EXPECT_THAT(options.tls->key, StartsWith("-----BEGIN PRIVATE KEY-----"));
  EXPECT_EQ(options.request_timeout, std::chrono::seconds(10));
  EXPECT_EQ(options.max_retries, 5);
  EXPECT_EQ(options.username, "lockservice");
  EXPECT_EQ(options.password, "secret");
  EXPECT_EQ(options.token_base, 12345);
}

TEST(EtcdSettings, AnHttpsEndpointReadsTheFilesToo) {
  EtcdTlsFiles files;
  auto options =
      options_of({{"SHARED_LOCK_ETCD_ADDR_LIST", "a:1,https://b:2"}, {"SHARED_LOCK_CA_CERT_PATH", files.ca()}});
  EXPECT_FALSE(options->tls);
  EXPECT_EQ(options->https.ca, files.authority().certificate());
}

TEST(EtcdSettings, WithoutTlsNoFileIsRead) {
  EXPECT_EQ(fault_of({{"SHARED_LOCK_CA_CERT_PATH", "/no/such.crt"}}), "");
}

TEST(EtcdSettings, ADefaultPathCountsOnlyIfThereIsAFile) {
  EtcdTlsFiles files;
  auto loaded = config::load({.flags = {{"etcd-tls", "true"}}, .environment = {}, .file = {}});
  auto& settings = loaded.settings;
  for (auto* path : {&settings.etcd_ca_cert, &settings.etcd_client_cert, &settings.etcd_client_key}) {
    path->path = files.path("missing");
  }
  EXPECT_EQ(etcd_options(loaded)->tls->ca, "");
  EXPECT_EQ(etcd_options(loaded)->tls->certificate, "");
  settings.etcd_ca_cert.path = files.ca();
  EXPECT_EQ(etcd_options(loaded)->tls->ca, files.authority().certificate());
  settings.etcd_ca_cert.path = files.write("bad.crt", "hello");
  EXPECT_THAT(etcd_options(loaded).error().message, StartsWith("locker.etcd.tls.caCertPath (by default): "));
}

TEST(EtcdSettings, APathThatWasSetMustLeadToAFile) {
  for (const std::string name : {"SHARED_LOCK_CA_CERT_PATH", "LOCKER_ETCD_TLS_CACERTPATH"}) {
    EXPECT_EQ(fault_of({{"SHARED_LOCK_ETCD_TLS", "true"}, {name, "/no/such.crt"}}),
              name + ": /no/such.crt can't be read: No such file or directory");
  }
}

TEST(EtcdSettings, CertificateAndKeyComeTogether) {
  EtcdTlsFiles files;
  EXPECT_THAT(
      fault_of({{"SHARED_LOCK_ETCD_TLS", "true"}, {"SHARED_LOCK_CLIENT_CERT_PATH", files.client_certificate()}}),
      HasSubstr("the key (locker.etcd.tls.clientKeyPath) is missing"));
  EXPECT_THAT(fault_of({{"SHARED_LOCK_ETCD_TLS", "true"}, {"SHARED_LOCK_CLIENT_KEY_PATH", files.client_key()}}),
              HasSubstr("the certificate (locker.etcd.tls.clientCertPath) is missing"));
}

}  // namespace
}  // namespace sharedlock
