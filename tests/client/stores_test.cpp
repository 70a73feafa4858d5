// The client library on servers that keep their locks, through their restarts; on etcd; and by https.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <future>
#include <optional>

#include "client/tls_front.h"
#include "etcd/service_on_etcd.h"
#include "sharedlock/client.h"
#include "sharedlock/operations.h"
#include "support/slow_link.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using client::BootClock;
using client::Client;
using client::ClientOptions;
using client::Errc;
using client::LockOptions;
using client::Operations;

class ClientOnEmbedded : public testing::Test {
 protected:
  ProcessOptions serving() const {
    return {.environment = ServerProcess::open_memory(
                {{"SHARED_LOCK_STORAGE_TYPE", "embedded"}, {"SHARED_LOCK_DATA_DIR", data / "data"}})};
  }
  void restart() {
    server.emplace(serving());
    link.lead_to(server->port());
  }

  TemporaryDirectory data;
  std::optional<ServerProcess> server{serving()};
  SlowLink link{"127.0.0.1", server->port()};
  Client one{ClientOptions(link.url())};
};

TEST_F(ClientOnEmbedded, LocksAreHeldThroughAServerThatIsKilled) {
  auto lock = one.acquire("kept", LockOptions().ttl(6s)).value();
  auto token = lock.token();
  server->process().signal(SIGKILL);
  server->process().wait();
  restart();
  auto first = lock.safe_until();
  EXPECT_TRUE(eventually([&] { return lock.safe_until() > first; })) << "it renews itself at the new one";
  EXPECT_TRUE(lock.held());
  EXPECT_EQ(Operations(one).get("default", "kept").value().token, token);
  EXPECT_TRUE(lock.release());
}

TEST_F(ClientOnEmbedded, AWaiterIsServedByTheNextServer) {
  auto holder = std::make_optional(one.acquire("line", LockOptions().ttl(30s)).value());
  Client two{ClientOptions(link.url())};
  auto waiting = std::async(std::launch::async, [&] { return two.acquire("line", LockOptions().wait(60s)); });
  ASSERT_TRUE(eventually([&] { return Operations(one).get("default", "line").value().waiters == 1; }));
  EXPECT_EQ(server->stop(), 0) << "it drains";
  restart();
  ASSERT_TRUE(eventually([&] {
    auto state = Operations(one).get("default", "line");
    return state && state->waiters == 1;
  })) << "it asks again, and is not told of the other";
  EXPECT_TRUE(holder->held());
  EXPECT_TRUE(holder->release());
  auto next = waiting.get();
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_TRUE(next->held());
}

class ClientOnEtcd : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(here.becomes_ready() && there.becomes_ready()); }
  static ClientOptions at(ServiceOnEtcd& service) {
    return ClientOptions("http://127.0.0.1:" + std::to_string(service.server().port()));
  }

  EtcdServer etcd{{.members = 3}};
  ServiceOnEtcd here{etcd};
  ServiceOnEtcd there{etcd};
  Client one{at(here)};
  Client two{at(there)};
};

TEST_F(ClientOnEtcd, TwoServersAreOneService) {
  auto lock = one.acquire("job", LockOptions().ttl(10s)).value();
  EXPECT_EQ(two.acquire("job").error().code, Errc::held_by_another);
  auto waiting = std::async(std::launch::async, [&] { return two.acquire("job", LockOptions().wait(60s)); });
  ASSERT_TRUE(eventually([&] { return Operations(one).get("default", "job").value().waiters == 1; }));
  EXPECT_TRUE(lock.release());
  auto next = waiting.get();
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_GT(next->token(), lock.token());

  auto both = one.acquire_all({"some", "more"}).value();
  EXPECT_EQ(two.acquire_all({"more", "yet"}).error().code, Errc::held_by_another);
  auto lease = two.lease("key").value();
  EXPECT_EQ(one.lease("key").error().code, Errc::held_by_another);
  EXPECT_TRUE(lease.release());
}

TEST_F(ClientOnEtcd, LocksAreHeldThroughAChangeOfLeaders) {
  auto lock = one.acquire("kept", LockOptions().ttl(9s)).value();
  auto lease = one.lease("kept", client::LeaseOptions().ttl(9s)).value();
  etcd.member(etcd.leader()).kill();
  auto renewed = [&, from = BootClock::now() + 9s] { return lock.safe_until() > from && lease.safe_until() > from; };
  EXPECT_TRUE(eventually(renewed, 20s));
  EXPECT_TRUE(lock.held() && lease.held());
  EXPECT_FALSE(lock.stop_token().stop_requested() || lease.stop_token().stop_requested());
}

class ClientByHttps : public testing::Test {
 protected:
  std::string file_of(const std::string& certificate) const {
    std::string path = directory / "ca.pem";
    std::ofstream(path) << certificate;
    return path;
  }
  ClientOptions options(const std::string& host = "127.0.0.1") const {
    return ClientOptions("https://" + host + ":" + std::to_string(front.port()))
        .attempt_timeout(5s)
        .request_timeout(100ms);
  }

  TemporaryDirectory directory;
  TestAuthority authority;
  ServerProcess server{{.environment = ServerProcess::open_memory()}};
  TlsFront front{server.port(), authority.issue({.name = "front", .addresses = {"127.0.0.1"}})};
};

TEST_F(ClientByHttps, TrustsTheAuthoritiesInTheFile) {
  Client one(options().ca_file(file_of(authority.certificate())));
  auto lock = one.acquire("secured", LockOptions().ttl(2s)).value();
  auto first = lock.safe_until();
  EXPECT_TRUE(eventually([&] { return lock.safe_until() > first + 1s; }));
  EXPECT_TRUE(lock.release());
}

TEST_F(ClientByHttps, TrustsNoOtherAuthority) {
  Client by_system(options());
  auto refused = by_system.acquire("secured");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("certificate verify failed"));
  Client by_other(options().ca_file(file_of(TestAuthority("another").certificate())));
  EXPECT_EQ(by_other.acquire("secured").error().code, Errc::unavailable);
  EXPECT_FALSE(server.ask("GET", "/v1/default/lock/secured").body.find("owner") != std::string::npos);
}

TEST_F(ClientByHttps, ChecksThatTheCertificateIsForTheHost) {
  Client one(options("localhost").ca_file(file_of(authority.certificate())));
  EXPECT_EQ(one.acquire("secured").error().code, Errc::unavailable) << "it is 127.0.0.1's alone";
}

TEST_F(ClientByHttps, AFileWithoutCertificatesIsAnError) {
  EXPECT_THROW(Client(options().ca_file("/does/not/exist")), client::Failure);
}

}  // namespace
}  // namespace sharedlock::test
