#include "config/guards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/loader.h"

namespace sharedlock::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Variables = std::map<std::string, std::string>;

std::vector<std::string> refused(std::string name, std::string value = "x") {
  return refused_properties({{"f:1: " + name, name, std::move(value)}});
}

struct Case {
  const char* property;
  const char* instead;
};

// Settings that decide under Spring Boot which clients can reach a server, or how safely.
TEST(Guards, EachStopsTheStartAndSaysWhatToSetInstead) {
  const Case cases[] = {{"server.ssl.key-store", "shared-lock.server.address=127.0.0.1"},
                        {"server.ssl.enabled", "a proxy that ends TLS"},
                        {"server.ssl.bundle", "plain HTTP"},
                        {"server.ssl.clientAuth", "plain HTTP"},
                        {"server.ssl.server-name-bundles[0].bundle", "plain HTTP"},
                        {"server.SSL.key_store", "plain HTTP"},
                        {"server.servlet.context-path", "below that path"},
                        {"server.servlet.contextPath", "below that path"},
                        {"spring.mvc.servlet.path", "below that path"},
                        {"management.server.port", "/metrics"},
                        {"management.server.address", "/metrics"},
                        {"management.server.ssl.enabled", "/metrics"},
                        {"management.server.base-path", "/metrics"},
                        {"management.endpoints.web.base-path", "/metrics"},
                        {"management.endpoints.web.exposure.exclude", "/metrics"},
                        {"management.endpoints.web.exposure.exclude[0]", "/metrics"},
                        {"management.endpoints.enabled-by-default", "/metrics"},
                        {"management.endpoints.access.default", "/metrics"},
                        {"management.endpoint.health.enabled", "/health"},
                        {"management.endpoint.prometheus.access", "/metrics"},
                        {"spring.security.user.password", "jwt.issuer"},
                        {"spring.security.oauth2.resourceserver.jwt.jwk-set-uri", "jwt.jwks"},
                        {"spring.config.import", "--config"},
                        {"spring.config.activate.on-profile", "some profiles"},
                        {"spring.profiles.active", "--config"},
                        {"spring.application.json", "--config"}};
  for (const auto& [property, instead] : cases) {
    EXPECT_THAT(refused(property), ElementsAre(AllOf(StartsWith(std::string("f:1: ") + property), HasSubstr(instead))))
        << property;
  }
}

TEST(Guards, SettingsThatProtectNothingHereAreIgnored) {
  for (const char* property :
       {"logging.level.root", "spring.application.name", "server.tomcat.max-connections",
        "server.forward-headers-strategy", "management.endpoints.web.exposure.include", "server.sslx.key-store",
        "management.endpoint.health.show-details", "spring.profile", "server.error.include-stacktrace"}) {
    EXPECT_THAT(refused(property), IsEmpty()) << property;
  }
  for (const auto& [property, value] : Variables{{"server.servlet.context-path", "/"},
                                                 {"server.ssl.key-store", ""},
                                                 {"management.endpoints.web.base-path", "/actuator"},
                                                 {"management.endpoint.health.enabled", "TRUE"},
                                                 {"spring.profiles.active", "etcd"}}) {
    EXPECT_THAT(refused(property, value), IsEmpty()) << property;
  }
}

TEST(Guards, OneSentenceForEachKind) {
  const auto sentences = refused_properties({{"f:1: server.ssl.key-store", "server.ssl.key-store", "a"},
                                             {"f:2: server.ssl.key-alias", "server.ssl.key-alias", "b"},
                                             {"f:3: management.server.port", "management.server.port", "9090"}});
  EXPECT_THAT(sentences, ElementsAre(StartsWith("f:1: server.ssl.key-store (and 1 more of its kind) would be skipped"),
                                     StartsWith("f:3: management.server.port would be skipped")));
}

TEST(Guards, DisabledTlsProtectsNothing) {
  EXPECT_THAT(refused_properties({{"f:1", "server.ssl.key-store", "a"}, {"f:2", "server.ssl.enabled", "False"}}),
              IsEmpty());
  EXPECT_THAT(refused_properties({{"f:1", "server.ssl.key-store", "a"}, {"f:2", "server.ssl.enabled", "true"}}),
              SizeIs(1));
  EXPECT_THAT(refused_variables({{"SERVER_SSL_KEY_STORE", "a"}, {"SERVER_SSL_ENABLED", "false"}}, false), IsEmpty());
}

TEST(Guards, VariablesCountAsSpringBindsThem) {
  for (const char* name : {"SERVER_SSL_KEY_STORE", "SERVER_SSL_KEYSTORE", "SERVER_SERVLET_CONTEXT_PATH",
                           "SERVER_SERVLET_CONTEXTPATH", "MANAGEMENT_SERVER_PORT", "SPRING_SECURITY_USER_NAME",
                           "SPRING_APPLICATION_JSON", "MANAGEMENT_ENDPOINTS_WEB_EXPOSURE_EXCLUDE"}) {
    EXPECT_THAT(refused_variables({{name, "x"}}, false), ElementsAre(StartsWith(name))) << name;
  }
  EXPECT_THAT(refused_variables({{"SPRING_APPLICATION_NAME", "x"}, {"SERVER_PORT", "1"}, {"SERVER_SSLX", "x"}}, true),
              IsEmpty());
}

// In a container variables may have dots.
TEST(Guards, VariablesCountInEverySpellingThatSpringAccepts) {
  for (const char* name : {"server_ssl_key_store", "server.ssl.key-store", "Server.Servlet.contextPath",
                           "management.server.port", "server.ssl.enabled"}) {
    EXPECT_THAT(refused_variables({{name, "x"}}, false), ElementsAre(StartsWith(name))) << name;
  }
  EXPECT_THAT(refused_variables({{"SERVER_SSL_BUNDLE", "a"}, {"server.ssl.enabled", "false"}}, false), IsEmpty());
}

TEST(Guards, AnAddressInTheEnvironmentCountsMoreThanOneInTheFile) {
  LoadInput input{.flags = {}, .environment = {}, .file = FileText{"f", "server.address=0.0.0.0"}};
  EXPECT_THAT(load(input).errors, IsEmpty());
  for (const char* name : {"SERVER_ADDRESS", "server_address", "server.address"}) {
    input.environment = {{name, "127.0.0.1"}};
    EXPECT_THAT(load(input).errors, ElementsAre(StartsWith(std::string(name) + " is not read here")));
    input.environment[name] = "0.0.0.0";
    EXPECT_THAT(load(input).errors, IsEmpty()) << "they agree";
    input.environment[name] = "127.0.0.1";
    input.environment["SHARED_LOCK_SERVER_ADDRESS"] = "::1";
    EXPECT_THAT(load(input).errors, IsEmpty()) << "ours counts more";
  }
}

TEST(Guards, WhichFilesCountMattersOnlyWhereThereIsOne) {
  EXPECT_THAT(refused_variables({{"SPRING_PROFILES_ACTIVE", "prod"}}, false), IsEmpty());
  EXPECT_THAT(refused_variables({{"SPRING_PROFILES_ACTIVE", "prod"}}, true), SizeIs(1));
  EXPECT_THAT(refused_variables({{"SPRING_PROFILES_ACTIVE", "etcd,prod"}}, true), SizeIs(1));
  EXPECT_THAT(refused_variables({{"SPRING_PROFILES_ACTIVE", "etcd"}}, true), IsEmpty()) << "it chooses the store";
  EXPECT_THAT(refused_variables({{"SPRING_CONFIG_IMPORT", "x.properties"}}, true), SizeIs(1));
}

TEST(Guards, ServicesOfKubernetesThatHaveSuchANameDoNotCount) {
  EXPECT_THAT(refused_variables({{"MANAGEMENT_SERVER_PORT", "tcp://10.0.0.1:80"},
                                 {"MANAGEMENT_SERVER_SERVICE_HOST", "10.0.0.1"},
                                 {"MANAGEMENT_SERVER_SERVICE_PORT_HTTP", "80"},
                                 {"SERVER_SSL_PORT_443_TCP_ADDR", "10.0.0.1"}},
                                true),
              IsEmpty());
}

}  // namespace
}  // namespace sharedlock::config
