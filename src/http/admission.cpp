#include "http/admission.h"

#include <algorithm>
#include <utility>

namespace sharedlock::http {

namespace {

// Longer than any wait, and short enough that now + this does not overflow.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::hours(24 * 365);

// An IPv4 address gets 32 leading zero bits here; no IPv6 network with clients has as many.
std::uint64_t key_of(const Address& address) {
  if (address.is_v4()) return address.to_v4().to_uint();
  std::uint64_t key = 0;
  auto bytes = address.to_v6().to_bytes();
  for (std::size_t i = 0; i < 8; ++i) key = key << 8 | bytes[i];
  return key;
}

}  // namespace

bool AddressCounts::add(const Address& address, std::size_t limit) {
  std::size_t& count = counts_[key_of(address)];
  if (count == limit) return false;
  ++count;
  return true;
}

void AddressCounts::remove(const Address& address) {
  auto found = counts_.find(key_of(address));
  if (--found->second == 0) counts_.erase(found);
}

void OpenCount::set_accepting(bool accepting) {
  std::scoped_lock lock(mutex_);
  accepting_ = accepting;
  changed_.notify_all();
}

Arrival OpenCount::add(const Peer& peer) {
  std::scoped_lock lock(mutex_);
  Arrival arrival{admit(peer, undecided_.size())};
  if (arrival.admission == Admission::admitted) return arrival;
  if (beyond_ == kBeyond) return {Admission::dropped};
  ++beyond_;
  if (arrival.admission == Admission::too_many) {
    arrival.ticket = ++last_ticket_;
    undecided_.push_back(arrival.ticket);
  }
  return arrival;
}

Admission OpenCount::add_again(const Peer& peer, std::uint64_t ticket) {
  std::scoped_lock lock(mutex_);
  Admission verdict = admit(peer, take_ticket(ticket));
  if (verdict == Admission::admitted) --beyond_;
  return verdict;
}

// The two change places: from now on the one that was closed counts as beyond the limit.
Admission OpenCount::admit_instead(const Peer& peer, std::uint64_t ticket) {
  std::scoped_lock lock(mutex_);
  take_ticket(ticket);
  --admitted_;
  ++beyond_;
  Admission verdict = admit(peer, 0);
  if (verdict == Admission::admitted) --beyond_;
  return verdict;
}

// How many undecided connections came before it.
std::size_t OpenCount::take_ticket(std::uint64_t ticket) {
  auto own = std::ranges::lower_bound(undecided_, ticket);
  const auto earlier = static_cast<std::size_t>(own - undecided_.begin());
  undecided_.erase(own);
  return earlier;
}

// `earlier`: so many undecided connections came before it.
Admission OpenCount::admit(const Peer& peer, std::size_t earlier) {
  // Before the overall limit: a client with too many connections must not get another client's connection closed.
  if (counts_by_address(peer) && !by_address_.add(peer.address, limit_per_address_)) {
    return Admission::too_many_from_address;
  }
  if (limit_ > 0 && admitted_ + earlier >= limit_) {
    if (counts_by_address(peer)) by_address_.remove(peer.address);
    return Admission::too_many;
  }
  most_admitted_ = std::max(most_admitted_, ++admitted_);
  return Admission::admitted;
}

void OpenCount::remove(Admission admission, const Peer& peer) {
  std::scoped_lock lock(mutex_);
  if (admission == Admission::admitted) {
    --admitted_;
    if (counts_by_address(peer)) by_address_.remove(peer.address);
  } else {
    --beyond_;
  }
  removed();
}

void OpenCount::remove_replaced(const Peer& peer) {
  std::scoped_lock lock(mutex_);
  if (counts_by_address(peer)) by_address_.remove(peer.address);
  --beyond_;
  removed();
}

// Notified under the lock: the waiter may destroy this.
void OpenCount::removed() {
  --answered_;
  if (admitted_ + beyond_ == 0) changed_.notify_all();
}

void OpenCount::answered() {
  std::scoped_lock lock(mutex_);
  ++answered_;
  if (admitted_ + beyond_ == answered_) changed_.notify_all();
}

std::size_t OpenCount::admitted() const {
  std::scoped_lock lock(mutex_);
  return admitted_;
}

std::size_t OpenCount::take_most_admitted() {
  std::scoped_lock lock(mutex_);
  return std::exchange(most_admitted_, admitted_);
}

bool OpenCount::wait_for_answers(std::chrono::nanoseconds within) {
  std::unique_lock lock(mutex_);
  auto all = [this] { return admitted_ + beyond_ == answered_ && !accepting_; };
  return changed_.wait_for(lock, std::min(within, kLongestWait), all);
}

bool OpenCount::wait_for_none(std::chrono::nanoseconds within) {
  std::unique_lock lock(mutex_);
  auto none = [this] { return admitted_ + beyond_ == 0 && !accepting_; };
  return changed_.wait_for(lock, std::min(within, kLongestWait), none);
}

}  // namespace sharedlock::http
