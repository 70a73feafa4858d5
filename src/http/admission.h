#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "http/client_address.h"

namespace sharedlock::http {

enum class Admission { admitted, too_many, too_many_from_address, dropped };

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

// Decides which connections get in, and knows how many are open: those that are being turned away don't count against
// the limits, or clients that were refused would keep out others. It is what Server::drain() waits for. Thread-safe.
class OpenCount {
 public:
  // Zero is no limit. Trusted proxies are exempt from the one for each address.
  OpenCount(std::size_t limit, std::size_t limit_per_address) : limit_(limit), limit_per_address_(limit_per_address) {}

  // Before and after the time in which new connections may come.
  void set_accepting(bool accepting);

  // What is not dropped must be answered() and then removed.
  Admission add(const Peer& peer);
  void remove(Admission admission, const Peer& peer);

  // For one that was too many, when another connection has been closed for it, which is to be removed as ever:
  // admitted, or too_many_from_address.
  Admission admit_instead(const Peer& peer);

  // One of them, in between, has had its last answer.
  void answered();

  std::size_t admitted() const;

  // Two times an end is waited for: nobody waits for an answer, and no connection is open. False when it did not come.
  bool wait_for_answers(std::chrono::nanoseconds within);
  bool wait_for_none(std::chrono::nanoseconds within);

 private:
  bool counts_by_address(const Peer& peer) const { return limit_per_address_ > 0 && peer.proxies == nullptr; }
  Admission turn_away(Admission why);

  const std::size_t limit_;
  const std::size_t limit_per_address_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  AddressCounts by_address_;
  std::size_t admitted_ = 0;
  std::size_t turned_away_ = 0;
  std::size_t answered_ = 0;  // of both
  bool accepting_ = false;
};

// The requests that handlers are at work on, of all I/O threads. Thread-safe.
class InFlight {
 public:
  explicit InFlight(std::size_t limit) : limit_(limit) {}  // 0: none, and nothing is counted

  // False when the limit is reached; after true there must be a leave().
  bool enter() {
    if (limit_ == 0) return true;
    if (count_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void leave() {
    if (limit_ > 0) count_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> count_ = 0;
};

}  // namespace sharedlock::http
