// What is admitted: limits on connections, on connections for each address, and on requests in flight.
#include "http/admission.h"

#include <gtest/gtest.h>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using boost::asio::ip::make_address;

TEST(AddressCounts, AnIpv6ClientCountsByItsNetwork) {
  AddressCounts counts;
  EXPECT_TRUE(counts.add(make_address("2001:db8:0:1::1"), 2));
  EXPECT_TRUE(counts.add(make_address("2001:db8:0:1:ffff::2"), 2));
  EXPECT_FALSE(counts.add(make_address("2001:db8:0:1::3"), 2));
  EXPECT_TRUE(counts.add(make_address("2001:db8:0:2::1"), 2)) << "another /64";
}

TEST(AddressCounts, AnIpv4ClientCountsAlone) {
  AddressCounts counts;
  EXPECT_TRUE(counts.add(make_address("192.0.2.1"), 1));
  EXPECT_FALSE(counts.add(make_address("192.0.2.1"), 1));
  EXPECT_TRUE(counts.add(make_address("192.0.2.2"), 1));
}

TEST(AddressCounts, ForgetAddressesWithoutConnections) {
  AddressCounts counts;
  for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
    EXPECT_TRUE(counts.add(make_address(address), 1));
    counts.remove(make_address(address));
  }
  EXPECT_EQ(counts.addresses(), 0u);
  EXPECT_TRUE(counts.add(make_address("192.0.2.1"), 1));
}

TEST(OpenCount, AConnectionThatWasTooManyIsAdmittedOnceAnotherHasEnded) {
  OpenCount count(1, 1);
  Peer first{.address = make_address("192.0.2.1")};
  Peer second{.address = make_address("192.0.2.2")};
  EXPECT_EQ(count.add(first).admission, Admission::admitted);
  const Arrival refused = count.add(second);
  EXPECT_EQ(count.add_again(second, refused.ticket), Admission::too_many);
  count.answered();
  count.remove(Admission::too_many, second);
  const Arrival again = count.add(second);
  count.answered();
  count.remove(Admission::admitted, first);
  EXPECT_EQ(count.add_again(second, again.ticket), Admission::admitted);
  EXPECT_EQ(count.admitted(), 1u);
  EXPECT_EQ(count.add(second).admission, Admission::too_many_from_address);
  EXPECT_EQ(count.add(first).admission, Admission::too_many);
}

TEST(OpenCount, APlaceThatBecomesFreeGoesToTheEarliestThatIsUndecided) {
  OpenCount count(2, 0);
  Peer peer{.address = make_address("192.0.2.1")};
  auto end_one = [&] {
    count.answered();
    count.remove(Admission::admitted, peer);
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(count.add(peer).admission, Admission::admitted);
  const Arrival one = count.add(peer);
  const Arrival two = count.add(peer);
  end_one();
  const Arrival three = count.add(peer);
  EXPECT_EQ(three.admission, Admission::too_many);
  EXPECT_EQ(count.add_again(peer, three.ticket), Admission::too_many);
  EXPECT_EQ(count.add_again(peer, two.ticket), Admission::too_many);
  EXPECT_EQ(count.add_again(peer, one.ticket), Admission::admitted);
  end_one();
  EXPECT_EQ(count.add(peer).admission, Admission::admitted) << "none is undecided";
}

TEST(OpenCount, OneThatMakesRoomPassesItsPlaceOnAtOnce) {
  OpenCount count(1, 1);
  Peer first{.address = make_address("192.0.2.1")};
  Peer second{.address = make_address("192.0.2.2")};
  EXPECT_EQ(count.add(first).admission, Admission::admitted);
  EXPECT_EQ(count.admit_instead(second, count.add(second).ticket), Admission::admitted);
  EXPECT_EQ(count.admitted(), 1u);
  count.answered();
  count.remove_replaced(first);
  EXPECT_EQ(count.admitted(), 1u);
  EXPECT_EQ(count.add(first).admission, Admission::too_many) << "its address has no other connection";
  count.answered();
  count.remove(Admission::admitted, second);
  count.answered();
  count.remove(Admission::too_many, first);
  count.set_accepting(false);
  EXPECT_TRUE(count.wait_for_none(std::chrono::nanoseconds(0)));
}

// When a client connects, the two before it have just had their answers and gone, and another one comes at its heels.
// Whatever the server knows of that by then, there is room for it. On two threads, which take turns.
TEST(Admission, SafetyR36_ARequestThatIsSentIsServedWhileOthersComeAndGo) {
  TestServer server([](ServerOptions& options) { options.max_connections = 1; });
  for (int i = 0; i < 3000; ++i) {
    TestClient first(server.port());
    first.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    first.wait_until_received();
    TestClient second(server.port());
    ASSERT_EQ(second.request("GET", "/health").status, 200) << i;
    ASSERT_EQ(first.read_response().status, 200) << i;
    if (i % 2 == 0) {  // so that the turns change
      EXPECT_EQ(TestClient(server.port()).request("GET", "/health").status, 200);
    }
  }
}

TEST(Admission, TooManyConnectionsFromOneAddressAreTurnedAway) {
  TestServer server([](ServerOptions& options) { options.max_connections_per_address = 2; });
  TestClient first(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  {
    TestClient second(server.port());
    EXPECT_EQ(second.request("GET", "/hello").status, 200);
    TestClient third(server.port());
    auto refused = third.request("GET", "/hello");
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.header("Connection"), "close");
    EXPECT_EQ(refused.header("Retry-After"), "1");
    TestClient neighbour("127.0.0.1", server.port(), "127.0.0.2");
    EXPECT_EQ(neighbour.request("GET", "/hello").status, 200);
  }
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 1; }));
  TestClient fourth(server.port());
  EXPECT_EQ(fourth.request("GET", "/hello").status, 200);
}

TEST(Admission, TrustedProxiesMayHaveManyConnections) {
  TestServer server([](ServerOptions& options) {
    options.max_connections_per_address = 1;
    options.trusted_proxies = Networks({"127.0.0.3"});
  });
  std::vector<TestClient> proxies;
  for (int i = 0; i < 5; ++i) {
    proxies.emplace_back("127.0.0.1", server.port(), "127.0.0.3");
    EXPECT_EQ(proxies.back().request("GET", "/hello").status, 200);
  }
  TestClient first(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  TestClient second(server.port());
  EXPECT_EQ(second.request("GET", "/hello").status, 429);
}

// Otherwise a client with too many connections could cause those of others to be closed.
TEST(Admission, TheLimitForEachAddressComesFirst) {
  TestServer server([](ServerOptions& options) { options.max_connections = options.max_connections_per_address = 1; });
  TestClient first(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  TestClient second(server.port());
  auto refused = second.request("GET", "/hello");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(first.request("GET", "/hello").status, 200) << "not closed";
}

TEST(Admission, ExemptAddressesMayHaveManyConnections) {
  TestServer server([](ServerOptions& options) {
    options.max_connections_per_address = 1;
    options.exempt_addresses = Networks({"127.0.0.3"});
  });
  std::vector<TestClient> exempt;
  for (int i = 0; i < 5; ++i) {
    exempt.emplace_back("127.0.0.1", server.port(), "127.0.0.3");
    EXPECT_EQ(exempt.back().request("GET", "/hello").status, 200);
  }
}

TEST(Admission, SafetyR36_AHolderGetsInThoughItsAddressHasTooMany) {
  TestServer server([](ServerOptions& options) { options.max_connections_per_address = 1; });
  TestClient first(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  std::vector<TestClient> silent;
  for (int i = 0; i < 100; ++i) {
    silent.emplace_back(server.port());
    TestClient holder(server.port());
    ASSERT_EQ(holder.request("POST", "/renew", "body").status, 201) << i;
  }
  TestClient probe(server.port());
  EXPECT_EQ(probe.request("GET", "/health").status, 200);
  EXPECT_EQ(first.request("GET", "/hello").status, 200) << "not closed";
}

// An answer that does not fit into the kernel's buffers could last until the write timeout.
TEST(Admission, SafetyR36_AClientThatReadsNoAnswerKeepsNoOtherOutOfTheReserve) {
  TestServer server([](ServerOptions& options) { options.max_connections_per_address = 1; });
  TestClient first(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  std::vector<TestClient> deaf;
  for (std::size_t i = 0; i < kReserveByAddress + 4; ++i) {
    deaf.emplace_back(server.port());
    deaf.back().send("GET /large-health HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(deaf.back().is_answered_within(std::chrono::seconds(10))) << i;
    TestClient holder(server.port());
    ASSERT_EQ(holder.request("POST", "/renew", "body").status, 201) << i;
  }
}

// Takes both of the slots that `server` has for concurrent requests.
std::vector<TestClient> fill(TestServer& server) {
  std::vector<TestClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(server.port());
    clients.back().send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  EXPECT_TRUE(eventually([&] { return server.gate.entered == 2; }));
  return clients;
}

TEST(InFlightLimit, MoreRequestsAre503AndKeepTheirConnection) {
  TestServer server([](ServerOptions& options) { options.max_requests_in_flight = 2; });
  auto busy = fill(server);
  TestClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    auto refused = client.request("GET", "/hello");
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.header("Retry-After"), "1");
    EXPECT_EQ(refused.header("Connection"), std::nullopt);
    EXPECT_EQ(refused.body, R"({"message":"Too many requests in flight"})");
  }
  EXPECT_EQ(client.request("GET", "/plain").body, "Too many requests in flight\n");
  server.gate.open = true;
  for (auto& one : busy) EXPECT_EQ(one.read_response().body, "slow");
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(InFlightLimit, OtherErrorsAreReportedFirst) {
  TestServer server([](ServerOptions& options) { options.max_requests_in_flight = 2; });
  auto busy = fill(server);
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/nowhere").status, 404);
  EXPECT_EQ(client.request("DELETE", "/hello").status, 405);
  EXPECT_EQ(client.request("POST", "/guarded", "body").status, 401);
  EXPECT_EQ(client.request("POST", "/echo", std::string(70'000, 'b')).status, 413);
}

TEST(InFlightLimit, RoutesForOperatorsAreServedBeyond) {
  TestServer server([](ServerOptions& options) { options.max_requests_in_flight = 2; });
  auto busy = fill(server);
  TestClient client(server.port());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.request("GET", "/health").status, 200);
  EXPECT_EQ(client.request("GET", "/hello").status, 503) << "they gave nobody's place back";
}

TEST(InFlightLimit, SafetyR36_HoldersHaveALimitOfTheirOwn) {
  TestServer server([](ServerOptions& options) { options.max_requests_in_flight = 2; });
  auto newcomers = fill(server);
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/hello").status, 503);
  EXPECT_EQ(client.request("POST", "/renew", "body").status, 201);
  std::vector<TestClient> holders;
  for (int i = 0; i < 2; ++i) {
    holders.emplace_back(server.port());
    holders.back().send("GET /slow-renew HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 4; }));
  EXPECT_EQ(client.request("POST", "/renew", "body").status, 503) << "it is one all the same";
  EXPECT_EQ(client.request("GET", "/health").status, 200);
}

TEST(InFlightLimit, ASlotIsReturnedHoweverTheRequestEnds) {
  TestServer server([](ServerOptions& options) { options.max_requests_in_flight = 1; });
  TestClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.request("GET", "/throw").status, 500);
    EXPECT_EQ(client.request("POST", "/guarded", "body").status, 401);
    EXPECT_EQ(client.request("GET", "/hello").status, 200);
  }
}

}  // namespace
}  // namespace sharedlock::http
