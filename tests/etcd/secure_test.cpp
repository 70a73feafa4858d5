// TLS and authentication, for real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/etcd_tls_files.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Le;
using testing::Not;
using testing::StartsWith;

// The environment with those paths, named as by the Go service.
Environment tls(const std::string& ca, const std::string& certificate, const std::string& key) {
  return {{"SHARED_LOCK_ETCD_TLS", "true"},
          {"SHARED_LOCK_CA_CERT_PATH", ca},
          {"SHARED_LOCK_CLIENT_CERT_PATH", certificate},
          {"SHARED_LOCK_CLIENT_KEY_PATH", key}};
}

void expect_service(ServiceOnEtcd& service, const std::string& name) {
  ASSERT_TRUE(service.becomes_ready()) << service.ready().body << service.server().err();
  auto granted = service.grant(name);
  EXPECT_EQ(granted.status, 201) << granted.body;
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.acquire(name, "instance-1").status, 200);
}

// Nothing is served, every answer comes in time, and /ready gives the reason `why`.
void expect_refusal(ServiceOnEtcd& service, const std::string& why) {
  auto says_why = [&] {
    auto ready = service.ready();
    return ready.status == 503 && ready.body.find(why) != std::string::npos;
  };
  EXPECT_TRUE(eventually(says_why)) << service.ready().body << "\n" << service.server().err();
  EXPECT_EQ(service.grant("refused").status, 500);
  EXPECT_EQ(service.acquire("refused", "instance-1").status, 503);
  EXPECT_THAT(service.slowest(), Le(kAnswered));
  EXPECT_TRUE(service.server().says(why)) << service.server().err();
}

// Logs are read by programs.
void expect_only_json(const std::string& log) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) EXPECT_THAT(line, StartsWith("{"));
}

class EtcdTlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    files_ = std::make_unique<EtcdTlsFiles>();
    etcd_ = std::make_unique<EtcdServer>(EtcdServerOptions{.tls = files_->server()});
  }
  static void TearDownTestSuite() {
    etcd_.reset();
    files_.reset();
  }
  static EtcdTlsFiles& files() { return *files_; }
  static EtcdServer& etcd() { return *etcd_; }
  static Environment good() { return tls(files().ca(), files().client_certificate(), files().client_key()); }

  // `serve` ends with 2, before it serves anything, and says that.
  static void expect_no_start(const Environment& environment, const std::string& message) {
    auto ended = run_program({.arguments = {"serve", "--port", "0"},
                              .environment = ServiceOnEtcd::environment(etcd().endpoints(), environment)});
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, StartsWith("shared-lock: " + message));
  }

 private:
  static inline std::unique_ptr<EtcdTlsFiles> files_;
  static inline std::unique_ptr<EtcdServer> etcd_;
};
using EtcdTls = EtcdTlsTest;

TEST_F(EtcdTls, CertificatesBothWays) {
  ServiceOnEtcd service(etcd(), good());
  expect_service(service, "tls");
}

TEST_F(EtcdTls, ThePropertiesOfTheJavaService) {
  ServiceOnEtcd service(etcd(), {{"LOCKER_ETCD_TLS_ENABLED", "true"},
                                 {"LOCKER_ETCD_TLS_CACERTPATH", files().ca()},
                                 {"LOCKER_ETCD_TLS_CLIENTCERTPATH", files().client_certificate()},
                                 {"LOCKER_ETCD_TLS_CLIENTKEYPATH", files().client_key()}});
  expect_service(service, "tls-java");
}

TEST_F(EtcdTls, AnHttpsEndpointIsEnough) {
  Environment environment = good();
  environment.erase("SHARED_LOCK_ETCD_TLS");
  ServiceOnEtcd service(etcd(), environment);
  expect_service(service, "https");
}

TEST_F(EtcdTls, EveryEndpointUsesTlsWhenTheSettingSaysSo) {
  std::string endpoint = etcd().endpoints();
  for (const std::string& spelled : {endpoint.substr(8), "http://" + endpoint.substr(8)}) {
    ServiceOnEtcd service(spelled, good());
    expect_service(service, "spelled-" + std::to_string(spelled.size()));
  }
}

TEST_F(EtcdTls, AServerOfAnotherAuthorityIsNotBelieved) {
  std::string other = files().write("other-ca.crt", TestAuthority("another").certificate());
  ServiceOnEtcd service(etcd(), tls(other, files().client_certificate(), files().client_key()));
  expect_refusal(service, "certificate");
  expect_only_json(service.server().err());
}

TEST_F(EtcdTls, AServerOfAnotherNameIsNotBelieved) {
  // etcdctl would not get in either, so there is no etcd behind that certificate.
  PemPair elsewhere = files().authority().issue({.name = "etcd", .addresses = {"10.9.8.7"}});
  std::string endpoint = EtcdServer::address() + ":19999";
  Process impostor(
      {.program = "/usr/bin/openssl",
       .arguments = {"s_server", "-accept", endpoint, "-cert", files().write("elsewhere.crt", elsewhere.certificate),
                     "-key", files().write("elsewhere.key", elsewhere.key), "-alpn", "h2", "-www"}});
  ASSERT_TRUE(eventually([&] { return impostor.out().find("ACCEPT") != std::string::npos; })) << impostor.err();
  ServiceOnEtcd service("https://" + endpoint, good());
  expect_refusal(service, "is not in peer certificate");
}

TEST_F(EtcdTls, ARejectedClientCertificateIsReported) {
  PemPair foreign = TestAuthority("another").issue({.name = "client"});
  ServiceOnEtcd service(etcd(), tls(files().ca(), files().write("foreign.crt", foreign.certificate),
                                    files().write("foreign.key", foreign.key)));
  expect_refusal(service, "it may not take our client certificate, or want one");
}

TEST_F(EtcdTls, WithoutAClientCertificateEtcdLetsNoServerIn) {
  ServiceOnEtcd service(etcd(), {{"SHARED_LOCK_ETCD_TLS", "true"}, {"SHARED_LOCK_CA_CERT_PATH", files().ca()}});
  expect_refusal(service, "it may not take our client certificate, or want one");
}

TEST_F(EtcdTls, AnEtcdThatDemandsTlsIsReported) {
  ServiceOnEtcd service(etcd().endpoints().substr(8));
  EXPECT_EQ(service.grant("plain").status, 500);
  EXPECT_EQ(service.ready().status, 503);
  EXPECT_THAT(service.slowest(), Le(kAnswered));
}

TEST_F(EtcdTls, AFileThatIsMissingOrWrongIsNamedAtTheStart) {
  const std::string& ca = files().ca();
  const std::string& certificate = files().client_certificate();
  const std::string& key = files().client_key();
  PemPair expired = files().authority().issue({.name = "old", .ends_in = std::chrono::hours(-1)});
  std::string old = files().write("old.crt", expired.certificate);
  std::string garbage = files().write("garbage.crt", "garbage");

  expect_no_start(tls("/no/such.crt", certificate, key),
                  "SHARED_LOCK_CA_CERT_PATH: /no/such.crt can't be read: No such file");
  expect_no_start(tls(garbage, certificate, key), "SHARED_LOCK_CA_CERT_PATH: " + garbage + " holds no certificate");
  expect_no_start(tls(ca, "/", key), "SHARED_LOCK_CLIENT_CERT_PATH: / is not a plain file");
  expect_no_start(tls(ca, old, files().write("old.key", expired.key)),
                  "SHARED_LOCK_CLIENT_CERT_PATH: " + old + " expired at ");
  expect_no_start(tls(ca, certificate, garbage), "SHARED_LOCK_CLIENT_KEY_PATH: " + garbage + " holds no private key");
  expect_no_start(tls(ca, certificate, files().write("old.key", expired.key)),
                  "SHARED_LOCK_CLIENT_KEY_PATH: " + files().path("old.key") + " is not the key of the certificate in ");
}

constexpr const char* kLacksPrefix = "the user of etcd must be allowed to read and write a prefix that leases need";

class EtcdAuthentication : public testing::Test {
 protected:
  static Environment as(const std::string& user, const std::string& password) {
    return {{"LOCKER_ETCD_AUTH_USERNAME", user}, {"LOCKER_ETCD_AUTH_PASSWORD", password}};
  }
};

TEST_F(EtcdAuthentication, AUserWithAPassword) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  expect_service(service, "user");
  EXPECT_EQ(service.grant("user").status, 202);
  EXPECT_EQ(service.release("user", "instance-1").status, 200);
}

TEST_F(EtcdAuthentication, AWrongPasswordIsReportedAndCanBeCorrected) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd, as("lockservice", "secret-two"));
  expect_refusal(service, "authentication failed");
  EXPECT_THAT(service.server().err(), Not(HasSubstr("secret-two")));
  EXPECT_THAT(service.ready().body, Not(HasSubstr("secret-two")));
  etcd.etcdctl({"user", "passwd", "lockservice", "--interactive=false"}, "secret-two");
  expect_service(service, "mended");
}

TEST_F(EtcdAuthentication, AnEtcdThatDemandsAUserIsReported) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd);
  expect_refusal(service, "user name is empty");
}

TEST_F(EtcdAuthentication, AUserWithoutPermissionIsReported) {
  EtcdServer etcd;
  etcd.etcdctl({"user", "add", "nobody:secret-one"});
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd, as("nobody", "secret-one"));
  expect_refusal(service, "permission denied");
}

TEST_F(EtcdAuthentication, TwoPrefixesAreAllThatAUserNeeds) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one", {"/shared-lock", "locks/"});
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  expect_service(service, "least");
  EXPECT_EQ(service.grant("least").status, 202);
  EXPECT_EQ(service.renew("least", "instance-1").status, 200);
  EXPECT_EQ(service.release("least", "instance-1").status, 200);
  EXPECT_FALSE(service.server().says(kLacksPrefix)) << service.server().err();
}

TEST_F(EtcdAuthentication, ARoleThatIsTooNarrowIsReported) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one", {"/shared-lock/", "/shared-lock.meta/token-base", "locks/"});
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  expect_refusal(service, "must be allowed to read and write");
}

// A role that was made for a server without index entries. Locks are served; leases only by an etcd that checks no
// roles within nested transactions (CVE-2026-33343).
TEST_F(EtcdAuthentication, ARoleWithoutThePrefixOfLeasesIsReported) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one",
                             {"/shared-lock/", "/shared-lock.meta/", "/shared-lock.queue/", "locks/"});
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  ASSERT_TRUE(service.becomes_ready()) << service.ready().body;
  EXPECT_TRUE(eventually([&] { return service.server().says(kLacksPrefix); })) << service.server().err();
  EXPECT_TRUE(service.server().says("/shared-lock.id/")) << service.server().err();
  EXPECT_EQ(service.acquire("narrow", "instance-1").status, 200);
}

TEST_F(EtcdAuthentication, ATokenThatExpiredIsRenewed) {
  EtcdServer etcd({.flags = {"--auth-token-ttl", "1"}});
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  ASSERT_TRUE(service.becomes_ready());
  auto granted = service.grant("token", 60);
  for (int i = 0; i < 3; ++i) {
    auto idle = std::chrono::steady_clock::now() + seconds(3);  // etcd forgets a token within 2 s of its last use
    (void)eventually([&] { return std::chrono::steady_clock::now() >= idle; });
    EXPECT_EQ(service.keep_alive(granted.body).status, 200) << i;
    EXPECT_EQ(service.grant("token-" + std::to_string(i)).status, 201);
    EXPECT_EQ(service.acquire("token-" + std::to_string(i), "instance-1").status, 200);
  }
}

TEST_F(EtcdAuthentication, ARestartOfEtcdForgetsTokensAndTheyAreRenewed) {
  EtcdServer etcd;
  etcd.enable_authentication("lockservice", "secret-one");
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  ASSERT_TRUE(service.becomes_ready());
  auto granted = service.grant("kept", 60);
  etcd.member(0).kill();
  etcd.member(0).start();
  expect_service(service, "renewed");
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
}

TEST_F(EtcdAuthentication, TurnedOnWhileWeServe) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, as("lockservice", "secret-one"));
  // While authentication is off, no tokens can be fetched.
  ASSERT_TRUE(service.becomes_ready()) << service.ready().body;
  EXPECT_EQ(service.grant("before").status, 201);
  etcd.enable_authentication("lockservice", "secret-one");
  expect_service(service, "after");
}

}  // namespace
}  // namespace sharedlock::test
