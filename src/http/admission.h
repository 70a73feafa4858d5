#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "base/capacity.h"
#include "http/client_address.h"
#include "http/router.h"

namespace sharedlock::http {

enum class Admission { admitted, too_many, too_many_from_address, dropped };

// How many connections beyond the limits may be open at a time, be it for the moment in which it is decided what
// becomes of them: each takes a descriptor, and there must be an end. More than are heard, or nothing would be decided.
inline constexpr std::size_t kBeyond = 64;

// How many of them are heard, in case they come for a lock that is held or ask for our health: those beyond the limit
// of all, and those beyond the limit for their address.
inline constexpr std::size_t kReserve = 32;
inline constexpr std::size_t kReserveByAddress = 16;
static_assert(kReserve + kReserveByAddress < kBeyond);

// How many connections come from where: an IPv4 address, or the 64 bits of an IPv6 network, since whoever has one IPv6
// address has the others of that network too. Not thread-safe.
class AddressCounts {
 public:
  // False, with nothing counted, when there are `limit` already.
  bool add(const Address& address, std::size_t limit);
  void remove(const Address& address);  // one that was added
  std::size_t addresses() const { return counts_.size(); }

 private:
  boost::unordered_flat_map<std::uint64_t, std::size_t> counts_;
};

// Decides which connections get in, and knows how many are open: those beyond the limits, which are heard in the
// reserve or closed, don't count against them, or clients that were refused would keep out others. It is what
// Server::drain() waits for. Thread-safe.
class OpenCount {
 public:
  // Zero is no limit. Some peers are exempt from the one for each address, see Peer.
  OpenCount(std::size_t limit, std::size_t limit_per_address) : limit_(limit), limit_per_address_(limit_per_address) {}

  // Before and after the time in which new connections may come.
  void set_accepting(bool accepting);

  // What is not dropped must be answered() and then removed. Those beyond a limit are at most kBeyond; more are
  // dropped, with nothing counted, and may be tried again.
  Admission add(const Peer& peer);
  void remove(Admission admission, const Peer& peer);

  // For one that was too many, when another connection has been closed for it, which is to be removed as ever:
  // admitted, or too_many_from_address.
  Admission admit_instead(const Peer& peer);

  // One of them, in between, has had its last answer.
  void answered();

  std::size_t admitted() const;

  // How many were admitted at most at a time since this was last asked.
  std::size_t take_most_admitted();

  // Two times an end is waited for: nobody waits for an answer, and no connection is open. False when it did not come.
  bool wait_for_answers(std::chrono::nanoseconds within);
  bool wait_for_none(std::chrono::nanoseconds within);

 private:
  bool counts_by_address(const Peer& peer) const {
    return limit_per_address_ > 0 && peer.proxies == nullptr && !peer.exempt;
  }
  Admission beyond(Admission why);

  const std::size_t limit_;
  const std::size_t limit_per_address_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AddressCounts by_address_;
  std::size_t admitted_ = 0;
  std::size_t most_admitted_ = 0;
  std::size_t beyond_ = 0;
  std::size_t answered_ = 0;  // of both
  bool accepting_ = false;
};

// The requests that handlers are at work on, of all I/O threads: those of newcomers and those of holders count apart.
// Thread-safe.
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
