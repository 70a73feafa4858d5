// What is known of a host's addresses, and in which order they are tried: no clock, no resolver.
#include "client/addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr TimePoint kBegin{std::chrono::hours(1)};

Addresses::Answer found(std::initializer_list<const char*> texts) {
  Addresses::Answer answer;
  for (const char* text : texts) answer.addresses.push_back(boost::asio::ip::make_address(text));
  return answer;
}
Addresses::Answer failed(const std::string& why, bool temporary) {
  return {.addresses = {}, .error = why, .temporary = temporary};
}
std::vector<std::string> usable(const Addresses& addresses, TimePoint now) {
  std::vector<std::string> texts;
  for (const auto& address : addresses.look(now).usable) texts.push_back(address.to_string());
  return texts;
}

class AddressesTest : public testing::Test {
 protected:
  void ask_both(TimePoint now) {
    for (Family family : kFamilies) addresses.asked(family, now);
  }
  Addresses addresses;
};

TEST_F(AddressesTest, FamiliesTakeTurnsAndTheOneThatWorkedComesFirst) {
  ask_both(kBegin);
  addresses.answered(Family::v4, kBegin, found({"192.0.2.1", "192.0.2.2", "192.0.2.3"}));
  addresses.answered(Family::v6, kBegin, found({"2001:db8::1", "2001:db8::2"}));
  EXPECT_THAT(usable(addresses, kBegin),
              ElementsAre("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"));
  addresses.connected(Family::v4);
  EXPECT_THAT(usable(addresses, kBegin),
              ElementsAre("192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"));
  EXPECT_FALSE(addresses.look(kBegin).open);
}

TEST_F(AddressesTest, AnUnansweredFamilyDelaysTheOtherOnlyBriefly) {
  ask_both(kBegin);
  EXPECT_TRUE(addresses.look(kBegin).open);
  EXPECT_FALSE(addresses.look(kBegin).again_at) << "nothing is known yet";
  addresses.answered(Family::v4, kBegin + 100ms, found({"192.0.2.1"}));
  EXPECT_THAT(usable(addresses, kBegin + 100ms), IsEmpty());
  EXPECT_EQ(addresses.look(kBegin + 100ms).again_at, kBegin + 150ms);
  EXPECT_THAT(usable(addresses, kBegin + 150ms), ElementsAre("192.0.2.1"));
  EXPECT_TRUE(addresses.look(kBegin + 150ms).open);
}

TEST_F(AddressesTest, KnownAddressesAreUsedWhenANewLookupIsSlow) {
  ask_both(kBegin);
  addresses.answered(Family::v4, kBegin, found({"192.0.2.1"}));
  addresses.answered(Family::v6, kBegin, failed("none", false));
  EXPECT_FALSE(addresses.wants(Family::v4, kBegin + 4s));
  EXPECT_TRUE(addresses.wants(Family::v4, kBegin + 6s));
  ask_both(kBegin + 6s);
  EXPECT_FALSE(addresses.wants(Family::v4, kBegin + 6s)) << "it is under way";
  EXPECT_THAT(usable(addresses, kBegin + 6s), IsEmpty());
  EXPECT_THAT(usable(addresses, kBegin + 6300ms), ElementsAre("192.0.2.1"));
  addresses.answered(Family::v4, kBegin + 7s, found({"192.0.2.9"}));
  EXPECT_THAT(usable(addresses, kBegin + 7100ms), ElementsAre("192.0.2.9"));
}

TEST_F(AddressesTest, AnUnreachableNameServerRemovesNoAddress) {
  ask_both(kBegin);
  addresses.answered(Family::v4, kBegin, found({"192.0.2.1"}));
  addresses.answered(Family::v6, kBegin, failed("none", false));
  ask_both(kBegin + 6s);
  addresses.answered(Family::v4, kBegin + 7s, failed("the name server does not answer", true));
  addresses.answered(Family::v6, kBegin + 7s, failed("the name server does not answer", true));
  EXPECT_THAT(usable(addresses, kBegin + 7s), ElementsAre("192.0.2.1"));
  EXPECT_TRUE(addresses.wants(Family::v4, kBegin + 7s)) << "that is nothing new";
  ask_both(kBegin + 8s);
  addresses.answered(Family::v4, kBegin + 8s, failed("there is no such name", false));
  addresses.answered(Family::v6, kBegin + 8s, failed("there is no such name", false));
  EXPECT_THAT(usable(addresses, kBegin + 8s), IsEmpty());
  EXPECT_EQ(addresses.look(kBegin + 8s).error, "there is no such name");
}

}  // namespace
}  // namespace sharedlock::client
