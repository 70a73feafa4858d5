// The limit for each address, from an address that is not this machine's loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/test_client.h"
#include "support/network.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using http::TestClient;

constexpr const char* kLock = "/v1/space/lock/near";
constexpr const char* kRenewal = R"({"instanceId":"instance-1","leaseDuration":60})";

// A network with an address of ours that is not loopback, and a server that listens on it.
struct OnNetwork {
  explicit OnNetwork(Environment more) : lan(begin()), address(lan.places().front().our_address), server(with(more)) {}

  static std::size_t begin() {
    enter_own_network();
    return 1;
  }
  static ProcessOptions with(Environment& more) {
    more["SHARED_LOCK_SERVER_ADDRESS"] = "0.0.0.0";
    return {.environment = ServerProcess::open_memory(more)};
  }
  TestClient connect() const { return TestClient(address, server.port()); }

  EtcdLan lan;
  std::string address;
  ServerProcess server;
};

TEST(AddressLimit, SafetyR36_IsHalfOfAllAndKeepsNoHolderOut) {
  OnNetwork near(Environment{{"SHARED_LOCK_MAX_CONNECTIONS", "8"}});
  std::vector<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(near.connect());
    EXPECT_EQ(clients.back().request("GET", kLock).status, 200) << i;
  }
  EXPECT_EQ(clients[0].request("POST", std::string(kLock) + "/acquire", kRenewal).status, 200);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(near.connect().request("GET", kLock).status, 429);
    ASSERT_EQ(near.connect().request("POST", std::string(kLock) + "/renew", kRenewal).status, 200);
    ASSERT_EQ(near.connect().request("GET", "/health").status, 200);
  }
  for (auto& client : clients) EXPECT_EQ(client.request("GET", kLock).status, 200) << "not closed for the others";
  std::vector<TestClient> local;
  for (int i = 0; i < 20; ++i) {
    local.push_back(near.server.connect());
    EXPECT_EQ(local.back().request("GET", kLock).status, 200) << "loopback has no limit of its own";
  }
}

TEST(AddressLimit, CanBeSetToAll) {
  OnNetwork near({{"SHARED_LOCK_MAX_CONNECTIONS", "8"}, {"SHARED_LOCK_MAX_CONNECTIONS_PER_ADDRESS", "8"}});
  std::vector<TestClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(near.connect());
    EXPECT_EQ(clients.back().request("GET", kLock).status, 200) << i;
  }
}

}  // namespace
}  // namespace sharedlock::test
