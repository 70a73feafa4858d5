#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "client/schedule.h"
#include "sharedlock/lock.h"

namespace sharedlock::client {

// How a wait in a queue is made of polls, without a clock and a connection. Each poll asks the server to answer in
// time, before a gateway on the way would give up; the wait continues until it is over, or the server was away for too
// long.
class Polls {
 public:
  struct Limits {
    Wait wait{0};
    std::chrono::seconds poll{50};  // the longest wait of one request
    std::chrono::milliseconds patience{10'000};
  };
  Polls(TimePoint begun, const Limits& limits)
      : longest_(std::clamp<Wait>(limits.poll, Wait(1), kServersLimit)),
        patience_(std::min<std::chrono::milliseconds>(limits.patience, kForEver)),
        wait_until_(after(begun, std::max(limits.wait, Wait(0)))),
        poll_(longest_) {}

  // How long the next request asks to wait; 0: it tries once. If the server was away, a short poll shows whether it is
  // back.
  Wait next(TimePoint now) const {
    Wait most = silent_since_ ? Wait(1) : poll_;
    if (wait_until_ == TimePoint::max()) return most;
    return std::clamp<Wait>(std::chrono::ceil<Wait>(wait_until_ - now), Wait(0), most);
  }

  // How long its queue entry should be kept at most if that ends without a grant. No poll follows the last one, unless
  // that was cut off: for that a moment is enough.
  std::chrono::seconds place_kept(TimePoint now) const {
    if (next(now).count() == 0) return std::chrono::seconds(0);
    return wait_until_ - now <= poll_ ? kKeptAfterTheLast : std::chrono::seconds::max();
  }

  enum class Next { at_once, after_a_pause, over };

  // The answer to the request sent at `sent` says that another client holds it.
  Next refused(TimePoint sent, TimePoint now) {
    silent_since_.reset();
    if (now >= wait_until_) return Next::over;
    if (now - sent < kLeast) return Next::after_a_pause;
    if (++answered_ >= kProofs) {
      poll_ = std::min(poll_ * 2, longest_);
      answered_ = 0;
    }
    return Next::at_once;
  }

  // How a request ended that has no answer of ours.
  struct End {
    Wait asked{0};
    TimePoint begun;
    std::optional<TimePoint> sent = {};  // nothing: there was no connection
    bool cut = false;                    // the connection was closed, or a gateway gave up
    bool later = false;                  // a server asks to be tried again later
  };
  Next unanswered(const End& end, TimePoint now) {
    bool waited = end.asked.count() > 0 && end.sent;
    if (waited && end.cut && now - *end.sent >= kLeast) {
      auto lasted = std::chrono::floor<std::chrono::seconds>((now - *end.sent) * 3 / 4);
      poll_ = std::clamp(lasted, Wait(1), poll_);
      answered_ = 0;
      silent_since_.reset();
      return Next::at_once;
    }
    if (waited && end.later) {
      silent_since_.reset();
      return Next::after_a_pause;
    }
    if (!silent_since_) silent_since_ = waited ? now : end.begun;  // until then it may have waited
    return now - *silent_since_ >= patience_ ? Next::over : Next::after_a_pause;
  }

 private:
  static constexpr Wait kServersLimit{3600};
  static constexpr std::chrono::hours kForEver{24 * 365 * 100};  // the range of nanoseconds
  static constexpr std::chrono::seconds kLeast{1};               // one that ends sooner was not cut off, but failed
  static constexpr std::chrono::seconds kKeptAfterTheLast{2};
  // A restart cuts polls, too, which proves nothing about gateways: after this many answers a longer one is tried
  // again.
  static constexpr int kProofs = 8;

  static TimePoint after(TimePoint from, Wait span) {
    auto most = std::chrono::floor<Wait>(TimePoint::max() - from);
    return span > most ? TimePoint::max() : from + span;
  }

  const Wait longest_;
  const std::chrono::milliseconds patience_;
  const TimePoint wait_until_;
  Wait poll_;
  int answered_ = 0;
  std::optional<TimePoint> silent_since_;
};

}  // namespace sharedlock::client
