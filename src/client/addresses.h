#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "client/schedule.h"

namespace sharedlock::client {

enum class Family { v6, v4 };
inline constexpr std::array kFamilies{Family::v6, Family::v4};

// What lookups have told of the addresses of one host, and in which order they are to be tried (RFC 8305), without a
// clock and without a resolver. Each family is looked up by itself, so that one that is not answered holds up nothing.
class Addresses {
 public:
  using Address = boost::asio::ip::address;

  // Whether it is to be looked up: no lookup of it is under way, and what it said last is not new.
  bool wants(Family family, TimePoint now) const;
  void asked(Family family, TimePoint now);

  struct Answer {
    std::vector<Address> addresses = {};
    std::string error = {};  // why there are none
    bool temporary = false;  // what was known before still counts
  };
  void answered(Family family, TimePoint now, Answer answer);

  // A connection came to be: that family comes first from now on.
  void connected(Family family) { first_ = family; }

  struct View {
    std::vector<Address> usable = {};        // in the order in which to try them
    bool open = false;                       // there may be more
    std::optional<TimePoint> again_at = {};  // look again then, also without an answer
    std::string error = {};                  // of the lookups, where nothing is usable
  };
  View look(TimePoint now) const;

 private:
  struct Known {
    std::vector<Address> addresses;
    std::string error;
    bool temporary = false;
    bool under_way = false;
    TimePoint asked_at;
    std::optional<TimePoint> answered_at;  // the last lookup that told something
  };

  Known& of(Family family) { return known_[static_cast<std::size_t>(family)]; }
  const Known& of(Family family) const { return known_[static_cast<std::size_t>(family)]; }
  static TimePoint usable_from(const Known& known);

  std::array<Known, kFamilies.size()> known_;
  Family first_ = Family::v6;
};

}  // namespace sharedlock::client
