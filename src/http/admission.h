#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/capacity.h"
#include "http/client_address.h"
#include "http/router.h"

namespace sharedlock::http {

enum class Admission { admitted, too_many, too_many_from_address, dropped };

struct Arrival {
  Admission admission;
  std::uint64_t ticket = 0;  // if it is too_many, see OpenCount::add_again()
};

// How many connections beyond the limits may be open at a time, including those not yet decided about: each takes a
// file descriptor. Must exceed the size of the reserves, or there would be no room to decide about a new one.
inline constexpr std::size_t kBeyond = 64;

// How many of them are read from, in case they renew or release a held lock or check health: connections beyond the
// overall limit, and connections beyond the limit for their address.
inline constexpr std::size_t kReserve = 32;
inline constexpr std::size_t kReserveByAddress = 16;
static_assert(kReserve + kReserveByAddress < kBeyond);

// Counts connections by source: an IPv4 address, or an IPv6 /64 network, since a client with one address of such a
// network has the others too. Not thread-safe.
class AddressCounts {
 public:
  // False, with nothing counted, when there are already `limit`.
  bool add(const Address& address, std::size_t limit);
  void remove(const Address& address);  // one that was added
  std::size_t addresses() const { return counts_.size(); }

 private:
  boost::unordered_flat_map<std::uint64_t, std::size_t> counts_;
};

// Decides which connections are admitted, and counts the open ones. Connections beyond a limit, which get a place in
// the reserve or are closed, don't count against the limits, or refused clients would keep others out. Server::drain()
// waits on it. Thread-safe.
class OpenCount {
 public:
  // Zero means no limit. Some peers are exempt from the limit for each address, see Peer.
  OpenCount(std::size_t limit, std::size_t limit_per_address) : limit_(limit), limit_per_address_(limit_per_address) {}

  // Before and after the time in which new connections may arrive.
  void set_accepting(bool accepting);

  // A connection that is not dropped must be answered() and then removed. Those beyond a limit are at most kBeyond;
  // more are dropped, with nothing counted, and may be tried again.
  Arrival add(const Peer& peer);
  void remove(Admission admission, const Peer& peer);

  // A connection that is `too_many` is undecided, and later ones leave free places to it, until one of these is called
  // for it, once; it must still be removed. When others may have ended since: as add(), but it is never dropped. After
  // another one has been closed to make room, with its place: admitted, or too_many_from_address; the other one must
  // then be removed by remove_replaced().
  Admission add_again(const Peer& peer, std::uint64_t ticket);
  Admission admit_instead(const Peer& peer, std::uint64_t ticket);
  void remove_replaced(const Peer& peer);

  // A connection has had its last answer; call it once for each, before remove().
  void answered();

  std::size_t admitted() const;

  // The highest number admitted at a time since the last call.
  std::size_t take_most_admitted();

  // Wait until no connection awaits an answer, or until none is open. False when time ran out first.
  bool wait_for_answers(std::chrono::nanoseconds within);
  bool wait_for_none(std::chrono::nanoseconds within);

 private:
  bool counts_by_address(const Peer& peer) const {
    return limit_per_address_ > 0 && peer.proxies == nullptr && !peer.exempt;
  }
  Admission admit(const Peer& peer, std::size_t earlier);
  std::size_t take_ticket(std::uint64_t ticket);
  void removed();

  const std::size_t limit_;
  const std::size_t limit_per_address_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AddressCounts by_address_;
  std::size_t admitted_ = 0;
  std::size_t most_admitted_ = 0;
  std::size_t beyond_ = 0;
  std::size_t answered_ = 0;  // of both
  std::uint64_t last_ticket_ = 0;
  std::vector<std::uint64_t> undecided_;  // tickets, in the order of arrival
  bool accepting_ = false;
};

// The requests in flight in handlers, over all I/O threads: newcomers and holders count separately. Thread-safe.
class InFlight {
 public:
  explicit InFlight(std::size_t limit) : newcomers_(limit), holders_(limit) {}  // 0: none

  Capacity& of(Priority priority) {
    if (priority == Priority::newcomers) return newcomers_;
    return priority == Priority::holders ? holders_ : operators_;
  }

 private:
  Capacity newcomers_;
  Capacity holders_;
  Capacity operators_{0};
};

}  // namespace sharedlock::http
