// The address that a request comes from, as far as its connection and its headers tell.
#include "http/client_address.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "http/message.h"
#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using boost::asio::ip::make_address;

Client client(std::string_view peer, const Networks& proxies, const std::vector<Header>& headers = {}) {
  Peer from{unmapped(make_address(std::string(peer)))};
  if (proxies.contain(from.address)) from.proxies = &proxies;
  Request request;
  request.headers = headers;
  request.peer = &from;
  return client_of(request);
}

std::string address_behind(const std::vector<Header>& headers) {
  static const Networks proxies({"10.0.0.0/8", "2001:db8::/32"});
  return client("10.0.0.1", proxies, headers).address.to_string();
}

TEST(Networks, HoldAddressesAndNetworks) {
  Networks networks({"10.0.0.0/8", "192.0.2.7", "172.16.0.0/12", "2001:db8::/33", "::1"});
  for (const char* inside : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "172.31.0.1", "2001:db8:7fff::1", "::1",
                             "::ffff:10.1.2.3" /* IPv4 in IPv6 */}) {
    EXPECT_TRUE(networks.contain(make_address(inside))) << inside;
  }
  for (const char* outside : {"11.0.0.0", "9.255.255.255", "192.0.2.6", "172.32.0.0", "172.15.255.255",
                              "2001:db8:8000::1", "::2", "::a00:1" /* no IPv4 in IPv6 */, "0.0.0.0"}) {
    EXPECT_FALSE(networks.contain(make_address(outside))) << outside;
  }
}

TEST(Networks, OfAllAddressesAndOfNone) {
  EXPECT_TRUE(Networks({"0.0.0.0/0"}).contain(make_address("203.0.113.1")));
  EXPECT_FALSE(Networks({"0.0.0.0/0"}).contain(make_address("2001:db8::1")));
  EXPECT_TRUE(Networks({"::/0"}).contain(make_address("2001:db8::1")));
  EXPECT_FALSE(Networks().contain(make_address("127.0.0.1")));
}

TEST(Networks, RefuseTextThatIsNotANetwork) {
  for (const char* text : {"", "nowhere", "10.0.0.0/33", "10.0.0/8", "2001:db8::/129", "10.0.0.0/"}) {
    EXPECT_THROW(Networks({text}), std::invalid_argument) << text;
  }
}

TEST(ClientAddress, IsThePeersWithoutAProxy) {
  EXPECT_EQ(client("192.0.2.1", {}).address, make_address("192.0.2.1"));
  EXPECT_EQ(client("::ffff:192.0.2.1", {}).address, make_address("192.0.2.1"));
  EXPECT_EQ(client("192.0.2.1", {}, {{"X-Forwarded-For", "203.0.113.9"}}).address, make_address("192.0.2.1"))
      << "anybody can write that";
}

TEST(ClientAddress, BehindATrustedProxyIsTheLastAddressThatIsNotAProxy) {
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "203.0.113.9"}}), "203.0.113.9");
  EXPECT_EQ(address_behind({{"x-forwarded-for", "198.51.100.1, 203.0.113.9"}}), "203.0.113.9")
      << "the left one is only claimed";
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "203.0.113.9, 10.0.0.3 ,10.0.0.2"}}), "203.0.113.9");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-For", "10.0.0.2"}}), "203.0.113.9");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-For", "198.51.100.1"}}), "198.51.100.1");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}), "10.0.0.3") << "proxies all the way";
  EXPECT_EQ(address_behind({}), "10.0.0.1");
}

TEST(ClientAddress, MayBeWrittenWithAPort) {
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "203.0.113.9:4711"}}), "203.0.113.9");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "[2001:dead::1]:4711, [2001:db8::5]"}}), "2001:dead::1");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "2001:dead::1"}}), "2001:dead::1");
  EXPECT_EQ(address_behind({{"X-Forwarded-For", "::ffff:203.0.113.9"}}), "203.0.113.9");
}

TEST(ClientAddress, AnUnreadableAddressEndsTheSearch) {
  for (const char* hop : {"unknown", "", "[2001:db8::1", "203.0.113.9.1", "_hidden", "203.0.113.9 10.0.0.2"}) {
    EXPECT_EQ(address_behind({{"X-Forwarded-For", "198.51.100.1, " + std::string(hop) + ", 10.0.0.2"}}), "10.0.0.2")
        << hop;
  }
}

TEST(ClientAddress, IsLocalOnlyWhenNothingStandsBetween) {
  Networks proxies({"127.0.0.1"});
  EXPECT_TRUE(client("127.0.0.1", {}).is_local());
  EXPECT_TRUE(client("::1", proxies).is_local());
  EXPECT_TRUE(client("::ffff:127.0.0.1", {}).is_local());
  EXPECT_FALSE(client("192.0.2.1", {}).is_local());
  EXPECT_FALSE(client("127.0.0.1", proxies).is_local()) << "a proxy forwards, whether it says so or not";
  EXPECT_FALSE(client("127.0.0.1", proxies, {{"X-Forwarded-For", "127.0.0.1"}}).is_local());
  for (const char* name : {"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Client-Cert", "forwarded", "X-Real-IP",
                           "via", "x-envoy-external-address"}) {
    EXPECT_FALSE(client("127.0.0.1", {}, {{name, "127.0.0.1"}}).is_local()) << name;
  }
  EXPECT_TRUE(client("127.0.0.1", {}, {{"X-Forward", "1"}}).is_local());
  EXPECT_FALSE(client_of(Request()).is_local()) << "nobody";
}

TEST(ClientAddress, StandsInTheLog) {
  TestServer server([](ServerOptions& options) { options.trusted_proxies = Networks({"127.0.0.0/8"}); },
                    LogLevel::info);
  TestClient proxy(server.port());
  proxy.request("GET", "/hello", {}, "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n");
  EXPECT_TRUE(eventually([&] {
    std::string log = server.log_file.text();
    return log.find("\"peer\":\"127.0.0.1:") != std::string::npos &&
           log.find("\"client\":\"203.0.113.9\"}") != std::string::npos;
  })) << server.log_file.text();
}

}  // namespace
}  // namespace sharedlock::http
