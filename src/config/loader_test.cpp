#include "config/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/options.h"
#include "config/value.h"

namespace sharedlock::config {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using Values = std::map<std::string, std::string>;

LoadInput flags(Values values) {
  return {.flags = std::move(values), .environment = {}, .file = {}};
}
LoadInput environment(Values values) {
  return {.flags = {}, .environment = std::move(values), .file = {}};
}
LoadInput file(std::string text) {
  return {.flags = {}, .environment = {}, .file = FileText{"my.properties", text}};
}

Settings good(const LoadInput& input) {
  auto loaded = load(input);
  EXPECT_THAT(loaded.errors, IsEmpty());
  return loaded.settings;
}

// The last block of the description of locker-etcd, as it stands there.
constexpr const char* kExampleOfTheSeed = R"(# etcd endpoints (comma-separated for cluster)
locker.etcd.endpoints=http://etcd-1:2379,http://etcd-2:2379,http://etcd-3:2379

# Key prefix
locker.etcd.keyPrefix=myapp/locks/

# Timeouts
locker.etcd.requestTimeoutMs=10000
locker.etcd.maxRetries=5

# TLS (optional)
locker.etcd.tls.enabled=true
locker.etcd.tls.caCertPath=/etc/ssl/etcd/ca.pem
locker.etcd.tls.clientCertPath=/etc/ssl/etcd/client.pem
locker.etcd.tls.clientKeyPath=/etc/ssl/etcd/client-key.pem

# Authentication (optional)
locker.etcd.auth.username=lockservice
locker.etcd.auth.password=secret
)";

TEST(Loader, NothingGivenIsTheDefaults) {
  const auto loaded = load({});
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings, IsEmpty());
  ASSERT_EQ(loaded.origins.size(), options().size());
  for (const auto& option : options()) {
    EXPECT_EQ(value_text(option, loaded.settings), value_text(option, Settings{}));
    EXPECT_EQ(loaded.origin_of(option.name()).source, Source::defaults);
  }
}

TEST(Loader, TheSeedsExampleLoads) {
  const auto loaded = load(file(kExampleOfTheSeed));
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings, IsEmpty());
  const auto& settings = loaded.settings;
  EXPECT_THAT(settings.etcd_endpoints, ElementsAre("http://etcd-1:2379", "http://etcd-2:2379", "http://etcd-3:2379"));
  EXPECT_EQ(settings.key_prefix, "myapp/locks/");
  EXPECT_EQ(settings.etcd_request_timeout, 10s);
  EXPECT_EQ(settings.max_retries, 5u);
  EXPECT_TRUE(settings.etcd_tls);
  EXPECT_EQ(settings.etcd_ca_cert, (PemPath{.path = "/etc/ssl/etcd/ca.pem", .was_set = true}));
  EXPECT_EQ(settings.etcd_client_cert.path, "/etc/ssl/etcd/client.pem");
  EXPECT_EQ(settings.etcd_client_key.path, "/etc/ssl/etcd/client-key.pem");
  EXPECT_EQ(settings.etcd_username, "lockservice");
  EXPECT_EQ(settings.etcd_password, "secret");
}

TEST(Loader, EveryOptionCanBeGivenInEveryWay) {
  const Values samples{{"address", "::1"},
                       {"trusted-proxies", "10.0.0.0/8"},
                       {"allowed-origins", "https://o"},
                       {"data-dir", "/data"},
                       {"etcd-username", "me"},
                       {"etcd-password", "pass"},
                       {"key-prefix", "x/"},
                       {"jwt-issuer", "http://i"},
                       {"jwt-jwks", "http://j"},
                       {"jwt-audience", "a"},
                       {"admin-subjects", "a,b"},
                       {"admin-claim", "c"},
                       {"admin-token", "t"},
                       {"storage", "memory"},
                       {"log", "info"},
                       {"lease-authentication", "off"},
                       {"etcd-endpoints", "e:1"},
                       {"etcd-leases", "own"},
                       {"etcd-ca-cert", "/ca"},
                       {"etcd-client-cert", "/cert"},
                       {"etcd-client-key", "/key"},
                       {"port", "1"}};
  for (const auto& option : options()) {
    const auto found = samples.find(std::string(option.flag));
    const std::string value = found != samples.end() ? found->second : is_switch(option) ? "true" : "77";
    std::vector<LoadInput> inputs{flags({{std::string(option.flag), value}})};
    for (const auto& name : option.environment) inputs.push_back(environment({{name, value}}));
    for (const auto property : option.properties) inputs.push_back(file(std::string(property) + "=" + value));
    Settings expected;
    ASSERT_EQ(assign(option, value, expected), std::nullopt) << option.flag;
    ASSERT_NE(value_text(option, expected), value_text(option, Settings{})) << option.flag;
    for (auto& input : inputs) {
      if (option.flag == "jwt-issuer") input.environment["JWT_JWKS"] = "http://j";
      if (option.flag == "etcd-username") input.environment["LOCKER_ETCD_AUTH_PASSWORD"] = "pass";
      EXPECT_EQ(value_text(option, good(input)), value_text(option, expected)) << option.flag;
    }
  }
}

TEST(Loader, FlagWinsOverEnvironmentOverFileOverDefault) {
  auto input = file("server.port=1");
  EXPECT_EQ(good(input).server_port, 1);
  input.environment = {{"SHARED_LOCK_SERVER_PORT", "2"}};
  EXPECT_EQ(good(input).server_port, 2);
  input.flags = {{"port", "3"}};
  EXPECT_EQ(good(input).server_port, 3);
}

TEST(Loader, OriginsAreNamedAsTheUserWroteThem) {
  auto input = file("# first\nlocker.etcd.key-prefix = x/\n");
  input.flags = {{"port", "3"}};
  input.environment = {{"LOCKER_ETCD_MAXRETRIES", "4"}};
  const auto loaded = load(input);
  EXPECT_EQ(loaded.origin_of("server.port").name, "--port");
  EXPECT_EQ(loaded.origin_of("server.port").source, Source::flag);
  EXPECT_EQ(loaded.origin_of("locker.etcd.maxRetries").name, "LOCKER_ETCD_MAXRETRIES");
  EXPECT_EQ(loaded.origin_of("locker.etcd.maxRetries").source, Source::environment);
  EXPECT_EQ(loaded.origin_of("locker.etcd.keyPrefix").name, "my.properties:2: locker.etcd.key-prefix");
  EXPECT_EQ(loaded.origin_of("locker.etcd.keyPrefix").source, Source::file);
}

TEST(Loader, EmptyIsUnset) {
  auto input = file("server.port=1\nlocker.etcd.keyPrefix=\njwt.issuer = ");
  input.environment = {{"SHARED_LOCK_SERVER_PORT", ""}, {"JWT_JWKS", "  "}};
  input.flags = {{"port", ""}};
  const auto settings = good(input);
  EXPECT_EQ(settings.server_port, 1);
  EXPECT_EQ(settings.key_prefix, "locks/");
  EXPECT_EQ(settings.jwt_issuer, "");
}

TEST(Loader, SpacesAroundAValueDoNotCount) {
  EXPECT_EQ(good(environment({{"SHARED_LOCK_ADMIN_TOKEN", " token\n"}})).admin_token, "token");
  EXPECT_EQ(good(environment({{"SHARED_LOCK_SERVER_PORT", " 81 "}})).server_port, 81);
}

TEST(Loader, ErrorsNameTheKeyAsTheUserWroteIt) {
  EXPECT_THAT(load(flags({{"storage", "redis"}})).errors,
              ElementsAre("--storage: \"redis\" must be etcd, embedded, memory or mock"));
  EXPECT_THAT(load(environment({{"LOCKER_ETCD_REQUESTTIMEOUTMS", "5s"}})).errors,
              ElementsAre(StartsWith("LOCKER_ETCD_REQUESTTIMEOUTMS: \"5s\" must be a whole number of milliseconds")));
  EXPECT_THAT(load(file("\nlocker.etcd.max-retries: many")).errors,
              ElementsAre(StartsWith("my.properties:2: locker.etcd.max-retries: \"many\" must be a whole number")));
}

TEST(Loader, AllErrorsAreFoundAtOnce) {
  auto input = file("server.port=x\nnonsense\nlocker.etcd.keyPrefx=y\n");
  input.environment = {{"SHARED_LOCK_DEBUG", "maybe"}};
  input.flags = {{"threads", "-1"}, {"no-such", "1"}};
  EXPECT_EQ(load(input).errors.size(), 6u);
}

TEST(Loader, SecretsAreNotInErrors) {
  const auto bad_token = load(environment({{"SHARED_LOCK_ADMIN_TOKEN", "hunter two"}}));
  EXPECT_THAT(bad_token.errors,
              ElementsAre(AllOf(StartsWith("SHARED_LOCK_ADMIN_TOKEN: the value must be"), Not(HasSubstr("hunter")))));
  const auto two_passwords = load(environment({{"LOCKER_ETCD_AUTH_PASSWORD", "hunter2"},
                                               {"SHARED_LOCK_ADMIN_TOKEN", "x"},
                                               {"LOCKER_ETCD_AUTH_USERNAME", "u"}}));
  EXPECT_THAT(two_passwords.errors, IsEmpty());
  const auto contradiction = load(file("locker.etcd.auth.password=hunter2\nlocker.etcd.auth.pass-word=hunter3"));
  EXPECT_THAT(contradiction.errors, ElementsAre(AllOf(HasSubstr("different values"), Not(HasSubstr("hunter")))));
}

TEST(Loader, AnOverriddenValueIsNotChecked) {
  auto input = environment({{"SHARED_LOCK_SERVER_PORT", "tcp://10.0.0.1:8080"}});
  input.flags = {{"port", "8080"}};
  EXPECT_EQ(good(input).server_port, 8080);
}

TEST(Loader, VariablesThatKubernetesInjectsAreExplained) {
  const auto loaded = load(environment({{"SHARED_LOCK_SERVER_PORT", "tcp://10.0.0.1:8080"}}));
  EXPECT_THAT(loaded.errors, ElementsAre(AllOf(StartsWith("SHARED_LOCK_SERVER_PORT: \"tcp://10.0.0.1:8080\" must be"),
                                               HasSubstr("Kubernetes"), HasSubstr("enableServiceLinks: false"),
                                               HasSubstr("rename the Service"))));
  EXPECT_THAT(load(flags({{"port", "tcp://10.0.0.1:8080"}})).errors, ElementsAre(Not(HasSubstr("Kubernetes"))));
}

TEST(Loader, UnknownVariablesDoNotMatter) {
  const auto loaded = load(environment({{"SHARED_LOCK_PORT", "tcp://10.0.0.1:8080"},
                                        {"SHARED_LOCK_PORT_8080_TCP_ADDR", "10.0.0.1"},
                                        {"SHARED_LOCK_SERVICE_HOST", "10.0.0.1"},
                                        {"SERVER_PORT", "9999"},
                                        {"LOCKER_ETCD_NONSENSE", "1"}}));
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings, IsEmpty());
  EXPECT_EQ(loaded.settings.server_port, 8080);
}

TEST(Loader, TwoNamesOfOneOptionMustAgree) {
  const auto loaded =
      load(environment({{"SHARED_LOCK_ETCD_ADDR_LIST", "http://a:1"}, {"LOCKER_ETCD_ENDPOINTS", "http://b:1"}}));
  EXPECT_THAT(loaded.errors, ElementsAre(AllOf(HasSubstr("SHARED_LOCK_ETCD_ADDR_LIST"),
                                               HasSubstr("LOCKER_ETCD_ENDPOINTS"), HasSubstr("http://a:1"))));
  EXPECT_THAT(load(environment({{"SHARED_LOCK_CA_CERT_PATH", "/a"}, {"LOCKER_ETCD_TLS_CACERTPATH", "/b"}})).errors,
              ElementsAre(HasSubstr("LOCKER_ETCD_TLS_CACERTPATH")));
  EXPECT_THAT(load(file("locker.etcd.keyPrefix=a\nlocker.etcd.key-prefix=b")).errors,
              ElementsAre(AllOf(HasSubstr("my.properties:1: locker.etcd.keyPrefix"),
                                HasSubstr("my.properties:2: locker.etcd.key-prefix"))));
}

TEST(Loader, TwoNamesOfOneOptionMayAgreeOrBeInDifferentSources) {
  EXPECT_TRUE(good(environment({{"SHARED_LOCK_ETCD_TLS", "true"}, {"LOCKER_ETCD_TLS_ENABLED", "YES"}})).etcd_tls);
  auto input = environment({{"SHARED_LOCK_ETCD_ADDR_LIST", "http://a:1"}, {"LOCKER_ETCD_ENDPOINTS", ""}});
  input.file = FileText{"f", "locker.etcd.endpoints=http://b:1"};
  EXPECT_THAT(good(input).etcd_endpoints, ElementsAre("http://a:1"));
}

TEST(Loader, TheLastOfEqualKeysInAFileWins) {
  EXPECT_EQ(good(file("server.port=1\nserver.port=nonsense\nserver.port=3")).server_port, 3);
  EXPECT_EQ(good(file("server.port=1\nserver.port=")).server_port, 8080);
}

TEST(Loader, UnknownKeysUnderOurPrefixesAreErrorsWithAGuess) {
  EXPECT_THAT(load(file("locker.etcd.endpoint=x")).errors,
              ElementsAre("my.properties:1: locker.etcd.endpoint: there is no such setting; did you mean "
                          "locker.etcd.endpoints?"));
  for (const auto* key : {"jwt.issue", "authentication.disable", "shared-lock.x", "compat.x", "lease.x", "admin.x"}) {
    EXPECT_THAT(load(file(std::string(key) + "=1")).errors, ElementsAre(HasSubstr("did you mean"))) << key;
  }
}

TEST(Loader, KeysOfOtherProgramsAreOneWarning) {
  const auto loaded = load(file("spring.application.name=x\nserver.port=1\nlogging.level.root=INFO"));
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings,
              ElementsAre("my.properties: not ours and ignored: spring.application.name, logging.level.root"));
}

TEST(Loader, TheAddressOfTheJavaServiceIsOurs) {
  EXPECT_EQ(good(file("server.address=127.0.0.1")).server_address, "127.0.0.1");
  EXPECT_THAT(load(file("server.address=localhost")).errors, ElementsAre(HasSubstr("must be an IP address")));
  EXPECT_THAT(load(file("server.address=127.0.0.1\nshared-lock.server.address=::")).errors,
              ElementsAre(HasSubstr("two names of one setting")));
}

TEST(Loader, AnAddressInACommonVariableIsNotSkippedUnlessOneIsGivenHere) {
  auto input = environment({{"SERVER_ADDRESS", "127.0.0.1"}});
  EXPECT_THAT(load(input).errors, ElementsAre(HasSubstr("set SHARED_LOCK_SERVER_ADDRESS")));
  input.environment["SHARED_LOCK_SERVER_ADDRESS"] = "::1";
  EXPECT_EQ(good(input).server_address, "::1");
}

TEST(Loader, SettingsThatProtectTheJavaServiceAreNeverSkipped) {
  const auto loaded = load(file("logging.level.root=INFO\nserver.ssl.key-store=/secret/store\nserver.port=1"));
  EXPECT_THAT(loaded.errors,
              ElementsAre(AllOf(StartsWith("my.properties:2: server.ssl.key-store would be skipped"),
                                HasSubstr("shared-lock.server.address=127.0.0.1"), Not(HasSubstr("/secret/store")))));
  EXPECT_THAT(load(environment({{"SERVER_SSL_BUNDLE", "mine"}})).errors, ElementsAre(StartsWith("SERVER_SSL_BUNDLE")));
  auto both = file("server.port=1");
  both.environment = {{"SPRING_PROFILES_ACTIVE", "prod"}};
  EXPECT_THAT(load(both).errors, ElementsAre(HasSubstr("--config")));
}

TEST(Loader, YamlIsRefused) {
  for (const char* name : {"application.yml", "application.YAML"}) {
    const LoadInput input{.flags = {}, .environment = {}, .file = FileText{name, "server:\n  address: 127.0.0.1\n"}};
    EXPECT_THAT(load(input).errors, ElementsAre(HasSubstr("YAML is not read here"))) << name;
  }
}

TEST(Loader, AnInvalidListIsReportedInASentence) {
  EXPECT_THAT(load(environment({{"SHARED_LOCK_ETCD_ADDR_LIST", "a:1,http://user:hidden@b:1"}})).errors,
              ElementsAre("SHARED_LOCK_ETCD_ADDR_LIST: the value must be a comma-separated list, and each item must be "
                          "an endpoint with a port, such as http://etcd-1:2379; item 2 is not"));
}

TEST(Loader, PlaceholdersOfSpringAreRefused) {
  EXPECT_THAT(load(file("jwt.issuer=${JWT_ISSUER:}")).errors,
              ElementsAre(AllOf(StartsWith("my.properties:1: jwt.issuer: ${...}"), HasSubstr("set JWT_ISSUER"))));
}

TEST(Loader, PlaceholdersThatTheEnvironmentOverridesDoNotMatter) {
  auto input = file("jwt.jwks=${JWT_JWKS}");
  input.environment = {{"JWT_JWKS", "https://id.example.com/jwks"}};
  EXPECT_EQ(good(input).jwt_jwks, "https://id.example.com/jwks");
}

TEST(Loader, ASecretMayHoldWhatLooksLikeAPlaceholder) {
  EXPECT_EQ(good(file("locker.etcd.auth.password=ab${x")).etcd_password, "ab${x");
}

TEST(Loader, PasswordsInUrlsAreRefusedAndNotShown) {
  for (const auto* line : {"jwt.jwks=http://user:hidden@host/", "locker.etcd.endpoints=http://user:hidden@host:2379"}) {
    EXPECT_THAT(load(file(line)).errors, ElementsAre(Not(HasSubstr("hidden")))) << line;
  }
}

TEST(Loader, SettingsWithoutEffectAreWarnedOf) {
  EXPECT_THAT(load(environment({{"ADMIN_SUBJECTS", "somebody"}})).warnings,
              ElementsAre("ADMIN_SUBJECTS is set, but has no effect in this version yet"));
}

TEST(Loader, DebugMeansLogLevelDebugUnlessThatIsSet) {
  const auto loaded = load(environment({{"SHARED_LOCK_DEBUG", "true"}}));
  EXPECT_EQ(loaded.settings.log_level, LogLevel::debug);
  EXPECT_EQ(loaded.origin_of("shared-lock.log").name, "SHARED_LOCK_DEBUG");
  auto both = environment({{"SHARED_LOCK_DEBUG", "true"}});
  both.file = FileText{"f", "shared-lock.log=warn"};
  EXPECT_EQ(good(both).log_level, LogLevel::warn);
  EXPECT_EQ(good(environment({{"SHARED_LOCK_DEBUG", "false"}})).log_level, LogLevel::warn);
}

TEST(Loader, IssuerWinsOverDisabledAuthenticationWithAWarning) {
  auto input = environment({{"AUTHENTICATION_DISABLED", "true"}, {"JWT_ISSUER", "https://id.example.com"}});
  const auto loaded = load(input);
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings, ElementsAre(StartsWith("AUTHENTICATION_DISABLED has no effect")));
  input.environment.erase("JWT_ISSUER");
  EXPECT_THAT(load(input).warnings, IsEmpty());
}

TEST(Loader, IssuerMustBeAUrlWhereKeysAreDiscoveredThere) {
  EXPECT_THAT(load(environment({{"JWT_ISSUER", "me"}})).errors, ElementsAre(StartsWith("JWT_ISSUER: \"me\" must be")));
  EXPECT_EQ(good(environment({{"JWT_ISSUER", "me"}, {"JWT_JWKS", "https://x/jwks"}})).jwt_issuer, "me");
}

TEST(LoaderEtcd, AUserNameNeedsAPassword) {
  EXPECT_THAT(load(file("locker.etcd.auth.username=lockservice")).errors,
              ElementsAre(AllOf(StartsWith("my.properties:1: locker.etcd.auth.username is set"),
                                HasSubstr("locker.etcd.auth.password"))));
  EXPECT_THAT(load(file("locker.etcd.auth.username=lockservice\nlocker.etcd.auth.password=secret")).errors, IsEmpty());
  EXPECT_THAT(load(file("locker.etcd.auth.username=lockservice\nshared-lock.storage.type=memory")).errors, IsEmpty());
}

TEST(LoaderEtcd, ASettingWithoutEffectIsAWarning) {
  EXPECT_THAT(load(environment({{"LOCKER_ETCD_AUTH_PASSWORD", "secret"}})).warnings,
              ElementsAre("LOCKER_ETCD_AUTH_PASSWORD has no effect: locker.etcd.auth.username is not set"));
  const LoadInput with_ca = environment({{"SHARED_LOCK_CA_CERT_PATH", "/ca.crt"}});
  EXPECT_THAT(load(with_ca).warnings,
              ElementsAre("SHARED_LOCK_CA_CERT_PATH has no effect: locker.etcd.tls.enabled is not "
                          "true, and no endpoint is https://"));
  for (const auto& [name, value] :
       Values{{"SHARED_LOCK_ETCD_TLS", "true"}, {"SHARED_LOCK_ETCD_ADDR_LIST", "http://a:1,https://b:1"}}) {
    LoadInput with_tls = with_ca;
    with_tls.environment[name] = value;
    EXPECT_THAT(load(with_tls).warnings, IsEmpty()) << name;
  }
}

TEST(LoaderEtcd, TwoNamesSetToDifferentValuesAreAnError) {
  auto both = [](const std::string& one, const std::string& other) {
    return load(environment({{"SHARED_LOCK_ETCD_ADDR_LIST", one}, {"LOCKER_ETCD_ENDPOINTS", other}})).errors;
  };
  EXPECT_THAT(both("http://a:1", "http://b:1"), ElementsAre(HasSubstr("are two names of one setting")));
  EXPECT_THAT(both("http://a:1,http://b:1", "http://a:1, http://b:1"), IsEmpty());
}

TEST(LoaderEtcd, EndpointsAreCheckedAtTheStart) {
  for (const auto* good : {"etcd-1:2379", "http://10.0.0.1:2379/", "https://[::1]:2379", "a:1,b:2 , c:3"}) {
    EXPECT_THAT(load(environment({{"SHARED_LOCK_ETCD_ADDR_LIST", good}})).errors, IsEmpty()) << good;
  }
  for (const auto* bad : {"etcd-1", "http://etcd-1", "http://::1:2379", "http://a:0", "http://a:65536", "http://a:1/v3",
                          "unix:///run/etcd", "http://user:secret@a:1", "a:1;b:1"}) {
    EXPECT_THAT(load(environment({{"SHARED_LOCK_ETCD_ADDR_LIST", bad}})).errors,
                ElementsAre(AllOf(StartsWith("SHARED_LOCK_ETCD_ADDR_LIST: "), Not(HasSubstr("secret")),
                                  HasSubstr("must be an endpoint with a port, such as http://etcd-1:2379"))))
        << bad;
  }
}

TEST(LoaderEtcd, SafetyR21_TheKeyPrefixIsApartFromLeases) {
  for (const auto* bad : {"/", "/s", "/shared-lock", "/shared-lock/", "/shared-lock.queue/", "/shared-locks/"}) {
    EXPECT_THAT(load(environment({{"LOCKER_ETCD_KEY_PREFIX", bad}})).errors, ElementsAre(HasSubstr("/shared-lock")))
        << bad;
  }
  EXPECT_EQ(good(environment({{"LOCKER_ETCD_KEY_PREFIX", ""}})).key_prefix, "locks/");
  EXPECT_EQ(good(environment({{"LOCKER_ETCD_KEY_PREFIX", "/other/"}})).key_prefix, "/other/");
}

}  // namespace
}  // namespace sharedlock::config
