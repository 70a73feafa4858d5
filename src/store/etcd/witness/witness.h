#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/lease_store.h"

// How an etcd is recognized that forgot what it had confirmed (R32): pure, but for what it remembers.
namespace sharedlock {

// What servers keep for themselves; the keys of their witnesses; a mark that etcd forgot; how often an operator has
// accepted that.
inline constexpr std::string_view kMetaPrefix = "/shared-lock.meta/";
inline constexpr std::string_view kWitnessPrefix = "/shared-lock.meta/witness/";
inline constexpr std::string_view kLostKey = "/shared-lock.meta/lost";
inline constexpr std::string_view kGenerationKey = "/shared-lock.meta/generation";

// No lease lives longer, by etcd's own limit, and so no promise.
inline constexpr std::chrono::seconds kLongestPromise{9'000'000'000};

// What a witness key says of its server, as text: `promised=300 ended prefix=locks/`.
struct WitnessValue {
  std::chrono::seconds promised{0};  // for so long from its writing on may what was promised last
  bool ended = false;                // its server has ended cleanly
  std::string prefix;                // of the keys of its locks

  bool operator==(const WitnessValue&) const = default;
};
std::string to_text(const WitnessValue& value);
std::optional<WitnessValue> parse_witness_value(std::string_view text);  // nothing: no such text

// Until when a transaction promises what it puts, where its call began `from`; nothing: it promises nothing.
struct WitnessedPromise {
  Ttl ttl{0};    // from the call on
  BootTime end;  // or until then

  std::optional<BootTime> until(BootTime from) const;
};
WitnessedPromise promise_of(const Transaction& transaction);

// The witness of this server: a key of its own, which every change puts and is compared with. etcd has forgotten
// something when the key is older than the last confirmed change. Thread-safe.
class EtcdWitness {
 public:
  using Witnesses = std::map<std::string, Revision>;  // key and revision of each

  // All that is known, taken before a question is sent.
  struct Known {
    Revision floor = kAbsent;    // the witness is at least of this revision
    Revision highest = kAbsent;  // of all that etcd has answered
    std::int64_t generation = 0;
    Witnesses others;
    BootTime promised_end;
  };
  // What an answer to it showed, as of one revision. `as_of` decides only where the answer went through etcd's log, or
  // is not older than what was known: others may be late.
  struct Found {
    Revision as_of = kAbsent;
    Revision own = kAbsent;
    std::optional<std::string> mark;
    std::int64_t generation = 0;
    Witnesses others;
    std::optional<std::string> base;  // of fencing tokens; EtcdLoss judges it
  };
  enum class Verdict {
    fine,
    marked,    // another server has found that etcd forgot
    lost,      // etcd forgot, and what was promised may last
    over,      // etcd forgot, and nothing that was promised can last
    accepted,  // etcd forgot, and an operator has accepted that
  };
  struct Judgement {
    Verdict verdict;
    std::string why;  // for people; of `fine` nothing
  };

  // `prefix`: of the keys of locks. This server grants nothing for longer than `largest_ttl`; others may.
  EtcdWitness(std::string prefix, std::chrono::seconds largest_ttl);

  const std::string& key() const { return key_; }
  Revision floor() const { return floor_; }
  // Of all that was promised, by this server or by others.
  BootTime promised_end() const { return std::max(promised_end_.load(), others_promised_end_.load()); }

  // A change of ours was confirmed at this revision, or the key was seen there.
  void confirmed(Revision revision);

  // This server promised something, or may have, that lasts until then. To be called before it is told to anybody, and
  // refuses() to be asked afterwards: what is promised then is either refused, or known to what shields it.
  void promised(BootTime end);

  // The same where no change was made, so that no value of the witness tells the other servers of it: it lasts for
  // `ttl` from `from` on, and may be renewed like that again and again. So values tell of more than of what is left;
  // and one is to be put when this is later than what told_beside() was at the last one.
  void promised_beside(BootTime from, std::chrono::seconds ttl);
  BootTime told_beside(BootTime now) const { return saturating_add(now, beside()); }

  // The value to put now, with a change that promises until `more`; so do those after it, since what is put at once
  // comes about in any order. It tells of this server's own promises only: were those of others told again, each would
  // prolong the other's by what a second rounds up, for ever.
  std::string value(BootTime now, BootTime more = {}, bool ended = false);

  // Whether a value is to be put now though nothing is changed, where the last one was put at that time and told of
  // that much beside it. What etcd was given after a witness it may forget without it being missed, but for what other
  // witnesses show. So while anything that is promised may last, the witness is put each minute; and else now and then,
  // since it would be taken for that of a server that is no more.
  bool is_due(BootTime put, BootTime told_beside, BootTime now) const;

  // A witness of another server stands. Returns the prefix that it uses, the first time that this is
  // another one than ours.
  std::optional<std::string> saw(const std::string& key, std::string_view value, Revision revision, BootTime now);
  // No others stand than these.
  void keep_only(const Witnesses& others);

  // Those of servers that are no more, and of which nothing that they promised can last. One that has not said that it
  // ends is taken for that when it has not changed for two days, or where many stand, for some hours; and for twice as
  // long as it told of: a server that misses its own must not have promised anything that lasts.
  Witnesses stale(BootTime now) const;

  void saw_generation(std::int64_t generation);

  // Without and with what is known of other servers' witnesses.
  Known known_of_ours(Revision highest) const;
  Known known_of_all(Revision highest) const;
  static Judgement judge(const Known& known, const Found& found, BootTime now);

  // From now on nothing is believed or done any more. False: that was so before, for the reason that was given then.
  bool refuse(std::string why);
  bool refuses() const { return refuses_; }
  // `unavailable`, with the reason; nothing while all is well.
  std::optional<Error> refusal() const;

 private:
  struct Other {
    Revision revision;
    BootTime since;
    std::chrono::seconds promised{0};
    bool ended = false;
  };

  std::chrono::seconds beside() const;

  const std::string key_;
  const std::string prefix_;
  const std::chrono::seconds largest_ttl_;
  std::atomic<Revision> floor_{kAbsent};
  std::atomic<BootTime> promised_end_{BootTime()};
  std::atomic<BootTime> others_promised_end_{BootTime()};
  std::atomic<BootTime> told_end_{BootTime()};  // what values tell of, whether that came about or not
  std::atomic<std::chrono::seconds> promised_beside_{std::chrono::seconds(0)};
  std::atomic<BootTime> promised_beside_end_{BootTime()};
  std::atomic<std::int64_t> generation_{0};
  std::atomic<bool> refuses_{false};
  mutable std::mutex mutex_;
  std::map<std::string, Other> others_;
  bool warned_ = false;
  std::string why_;
};

}  // namespace sharedlock
