#include "config/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "config/names.h"
#include "config/value.h"

namespace sharedlock::config {
namespace {

using ::testing::ElementsAre;

const Option& option_called(std::string_view property) {
  const auto* option = find_by_property(property);
  if (!option) throw std::invalid_argument(std::string(property));
  return *option;
}

// The option that has this name in the environment.
const Option* option_of_variable(const std::string& name) {
  for (const auto& option : options()) {
    for (const auto& known : option.environment) {
      if (known == name) return &option;
    }
  }
  return nullptr;
}

TEST(Options, EachHasEveryKindOfNameAndHelp) {
  for (const auto& option : options()) {
    EXPECT_FALSE(option.flag.empty());
    EXPECT_FALSE(option.properties.empty()) << option.flag;
    EXPECT_FALSE(option.environment.empty()) << option.flag;
    EXPECT_TRUE(option.help.ends_with('.') || option.help.ends_with(')')) << option.flag;
    EXPECT_EQ(option.help.find('|'), std::string_view::npos) << option.flag << ": would break the table of the page";
  }
}

TEST(Options, NoNameMeansTwoThings) {
  std::set<std::string> flags;
  std::set<std::string> variables;
  for (const auto& option : options()) {
    EXPECT_TRUE(flags.insert(std::string(option.flag)).second) << option.flag;
    for (const auto& name : option.environment) EXPECT_TRUE(variables.insert(name).second) << name;
    for (const auto property : option.properties) EXPECT_EQ(find_by_property(property), &option) << property;
  }
  EXPECT_FALSE(variables.contains("SHARED_LOCK_PORT")) << "Kubernetes sets it for a Service called shared-lock";
  EXPECT_FALSE(variables.contains("SERVER_PORT")) << "too common a name";
}

TEST(Options, NoTwoSetTheSameField) {
  std::vector<Field> fields;
  for (const auto& option : options()) {
    EXPECT_EQ(std::ranges::find(fields, option.field), fields.end()) << option.flag;
    fields.push_back(option.field);
  }
}

TEST(Options, NamesAndDefaultsOfTheSeedsStand) {
  const std::map<std::string, std::string> variables{
      {"SHARED_LOCK_SERVER_PORT", "8080"},
      {"SHARED_LOCK_SERVER_READ_TIMEOUT", "10s"},
      {"SHARED_LOCK_SERVER_WRITE_TIMEOUT", "10s"},
      {"SHARED_LOCK_SERVER_IDLE_TIMEOUT", "2m"},
      {"SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT", "10s"},
      {"SHARED_LOCK_PPROF_ENABLED", "false"},
      {"SHARED_LOCK_STORAGE_TYPE", "etcd"},
      {"SHARED_LOCK_ETCD_ADDR_LIST", "http://localhost:2379"},
      {"SHARED_LOCK_ETCD_TLS", "false"},
      {"SHARED_LOCK_CA_CERT_PATH", "/etc/etcd/ca.crt"},
      {"SHARED_LOCK_CLIENT_CERT_PATH", "/etc/etcd/client.crt"},
      {"SHARED_LOCK_CLIENT_KEY_PATH", "/etc/etcd/client.key"},
      {"SHARED_LOCK_CACHE_ENABLED", "false"},
      {"SHARED_LOCK_CACHE_SIZE", "1000"},
      {"SHARED_LOCK_DEBUG", "false"},
  };
  for (const auto& [name, expected] : variables) {
    const auto* option = option_of_variable(name);
    ASSERT_TRUE(option) << name;
    EXPECT_EQ(value_text(*option, Settings{}), expected) << name;
  }
  EXPECT_EQ(value_text(option_called("locker.etcd.endpoints"), Settings{}), "http://localhost:2379");
  EXPECT_EQ(value_text(option_called("locker.etcd.requestTimeoutMs"), Settings{}), "5000");
  EXPECT_EQ(value_text(option_called("locker.etcd.maxRetries"), Settings{}), "3");
  EXPECT_EQ(value_text(option_called("locker.etcd.keyPrefix"), Settings{}), "locks/");
  EXPECT_EQ(value_text(option_called("locker.etcd.tls.enabled"), Settings{}), "false");
  EXPECT_EQ(value_text(option_called("locker.etcd.auth.username"), Settings{}), "");
  EXPECT_EQ(value_text(option_called("locker.etcd.auth.password"), Settings{}), "");
}

TEST(Options, OurOwnNamesStand) {
  for (const auto* name : {"SHARED_LOCK_SERVER_ADDRESS",
                           "SHARED_LOCK_SERVER_THREADS",
                           "SHARED_LOCK_SERVER_DRAIN_DELAY",
                           "SHARED_LOCK_DATA_DIR",
                           "SHARED_LOCK_LOG",
                           "SHARED_LOCK_MAX_LEASE_TTL",
                           "SHARED_LOCK_TOKEN_BASE",
                           "SHARED_LOCK_ADMIN_TOKEN",
                           "SHARED_LOCK_EXPOSE_HOLDER_LEASE_ID",
                           "SHARED_LOCK_TRUSTED_PROXIES",
                           "SHARED_LOCK_MAX_CONNECTIONS",
                           "SHARED_LOCK_MAX_CONNECTIONS_PER_ADDRESS",
                           "AUTHENTICATION_DISABLED",
                           "JWT_ISSUER",
                           "JWT_JWKS",
                           "JWT_AUDIENCE",
                           "ADMIN_SUBJECTS",
                           "ADMIN_CLAIM",
                           "COMPAT_STRICT",
                           "LEASE_AUTHENTICATION",
                           "LOCKER_ETCD_AUTH_USERNAME",
                           "LOCKER_ETCD_TLS_CLIENTCERTPATH",
                           "LOCKER_ETCD_TLS_CA_CERT_PATH"}) {
    EXPECT_TRUE(option_of_variable(name)) << name;
  }
}

TEST(Options, DefaultsAreValidValues) {
  for (const auto& option : options()) {
    const auto text = value_text(option, Settings{});
    if (text.empty()) continue;
    Settings settings;
    EXPECT_EQ(assign(option, text, settings), std::nullopt) << option.flag;
    EXPECT_EQ(value_text(option, settings), text) << option.flag;
  }
}

TEST(Options, PasswordAndTokenAreSecret) {
  std::set<std::string_view> secrets;
  for (const auto& option : options()) {
    if (option.secret) secrets.insert(option.name());
  }
  EXPECT_THAT(secrets, ElementsAre("locker.etcd.auth.password", "shared-lock.admin.token"));
}

TEST(Names, EnvironmentNamesFollowFromTheProperty) {
  EXPECT_THAT(option_called("locker.etcd.requestTimeoutMs").environment,
              ElementsAre("LOCKER_ETCD_REQUEST_TIMEOUT_MS", "LOCKER_ETCD_REQUESTTIMEOUTMS"));
  EXPECT_THAT(option_called("locker.etcd.endpoints").environment,
              ElementsAre("SHARED_LOCK_ETCD_ADDR_LIST", "LOCKER_ETCD_ENDPOINTS"));
  EXPECT_THAT(option_called("server.port").environment, ElementsAre("SHARED_LOCK_SERVER_PORT"));
  EXPECT_THAT(option_called("jwt.issuer").environment, ElementsAre("JWT_ISSUER"));
}

TEST(Names, RelaxedPropertyNamesAreFound) {
  const auto& prefix = option_called("locker.etcd.keyPrefix");
  for (const auto* spelling : {"locker.etcd.key-prefix", "locker.etcd.key_prefix", "LOCKER.ETCD.KEYPREFIX"}) {
    EXPECT_EQ(find_by_property(spelling), &prefix) << spelling;
  }
  for (const auto* other : {"locker.etcd.key.prefix", "locker.etcd.keyprefixes", "keyPrefix", ""}) {
    EXPECT_EQ(find_by_property(other), nullptr) << other;
  }
  EXPECT_EQ(find_by_property("shared-lock.server.port"), &option_called("server.port"));
}

TEST(Names, FlagsAreFound) {
  ASSERT_TRUE(find_by_flag("port"));
  EXPECT_EQ(find_by_flag("port")->name(), "server.port");
  EXPECT_EQ(find_by_flag("--port"), nullptr);
}

TEST(Names, OurPrefixesAreKnown) {
  for (const auto* name : {"locker.x", "jwt.x", "authentication.x", "shared-lock.x", "sharedLock.x", "compat.x",
                           "lease.x", "admin.x", "Locker.x"}) {
    EXPECT_TRUE(has_our_prefix(name)) << name;
  }
  for (const auto* name : {"spring.x", "server.ssl.enabled", "lockers.x", "logging.level", ""}) {
    EXPECT_FALSE(has_our_prefix(name)) << name;
  }
}

TEST(Names, NearestIsFound) {
  EXPECT_EQ(nearest_property("locker.etcd.endpoint"), "locker.etcd.endpoints");
  EXPECT_EQ(nearest_property("locker.etcd.request-timeout"), "locker.etcd.requestTimeoutMs");
  EXPECT_EQ(nearest_property("locker.etcd.tls.caCert"), "locker.etcd.tls.caCertPath");
  EXPECT_EQ(nearest_property("jwt.isuer"), "jwt.issuer");
}

}  // namespace
}  // namespace sharedlock::config
