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

// The results of lookups of one host's addresses, and the order in which to try them (RFC 8305), without a clock and
// without a resolver. Each family is looked up separately, so that an unanswered lookup delays nothing.
class Addresses {
 public:
  using Address = boost::asio::ip::address;

  // Whether to look it up: no lookup of it is in progress, and its last answer is not new.
  bool wants(Family family, TimePoint now) const;
  void asked(Family family, TimePoint now);

  struct Answer {
    std::vector<Address> addresses = {};
    std::string error = {};  // why there are none
    bool temporary = false;  // earlier addresses still count
  };
  void answered(Family family, TimePoint now, Answer answer);

  // A connection was made: that family goes first from now on.
  void connected(Family family) { first_ = family; }

  struct View {
    std::vector<Address> usable = {};        // in the order in which to try them
    bool open = false;                       // more may come
    std::optional<TimePoint> again_at = {};  // check again then, even without an answer
    std::string error = {};                  // of the lookups, if nothing is usable
  };
  View look(TimePoint now) const;

 private:
  struct Known {
    std::vector<Address> addresses;
    std::string error;
    bool temporary = false;
    bool under_way = false;
    TimePoint asked_at;
    std::optional<TimePoint> answered_at;  // the last lookup with a result
  };

  Known& of(Family family) { return known_[static_cast<std::size_t>(family)]; }
  const Known& of(Family family) const { return known_[static_cast<std::size_t>(family)]; }
  static TimePoint usable_from(const Known& known);

  std::array<Known, kFamilies.size()> known_;
  Family first_ = Family::v6;
};

}  // namespace sharedlock::client
