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

// How to recognize an etcd that forgot what it had confirmed (R32): pure, apart from its memory.
namespace sharedlock {

// What servers keep for themselves; the keys of their witnesses; a mark that etcd forgot; how often an operator has
// accepted that.
inline constexpr std::string_view kMetaPrefix = "/shared-lock.meta/";
inline constexpr std::string_view kWitnessPrefix = "/shared-lock.meta/witness/";
inline constexpr std::string_view kLostKey = "/shared-lock.meta/lost";
inline constexpr std::string_view kGenerationKey = "/shared-lock.meta/generation";

// No lease lives longer, by etcd's own limit, and so no promise does.
inline constexpr std::chrono::seconds kLongestPromise{9'000'000'000};

// What a witness key says about its server, as text: `promised=300 ended prefix=locks/`.
struct WitnessValue {
  std::chrono::seconds promised{0};  // how long after it was written the last promise may last
  bool ended = false;                // its server has ended cleanly
  std::string prefix;                // of the keys of its locks

  bool operator==(const WitnessValue&) const = default;
};
std::string to_text(const WitnessValue& value);
std::optional<WitnessValue> parse_witness_value(std::string_view text);  // nothing: invalid text

// How long a transaction promises what it puts, if its call began `from`; nothing: it promises nothing.
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

  // All that is known, captured before a question is sent.
  struct Known {
    Revision floor = kAbsent;    // the witness is at least of this revision
    Revision highest = kAbsent;  // of all etcd answers so far
    std::int64_t generation = 0;
    Witnesses others;
    BootTime promised_end;
  };
  // What an answer to it showed, as of one revision. `as_of` is evidence only if the answer went through etcd's log, or
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
    lost,      // etcd forgot, and promises may still last
    over,      // etcd forgot, and no promise can still last
    accepted,  // etcd forgot, and an operator has accepted that
  };
  struct Judgement {
    Verdict verdict;
    std::string why;  // for people; empty for `fine`
  };

  // `prefix`: of the keys of locks. This server grants nothing for longer than `largest_ttl`; others may.
  EtcdWitness(std::string prefix, std::chrono::seconds largest_ttl);

  const std::string& key() const { return key_; }
  Revision floor() const { return floor_; }
  // Over all promises, by this server or by others.
  BootTime promised_end() const { return std::max(promised_end_.load(), others_promised_end_.load()); }

  // A change of ours was confirmed at this revision, or the key was seen there.
  void confirmed(Revision revision);

  // This server promised something, or may have, that lasts until then. Call it before anyone learns of the promise,
  // and check refuses() afterwards: then each promise is either refused, or known to the code that shields it.
  void promised(BootTime end);

  // The same if no change was made, so that no value of the witness announces it to the other servers: it lasts for
  // `ttl` from `from` on, and may be renewed like that again and again. So values announce more than what is left; and
  // one must be put when this is later than what told_beside() was at the last one.
  void promised_beside(BootTime from, std::chrono::seconds ttl);
  BootTime told_beside(BootTime now) const { return saturating_add(now, beside()); }

  // The value to put now, with a change that promises until `more`. Later values cover that promise too, since
  // concurrent puts may be applied in any order. It covers only this server's own promises: if servers repeated each
  // other's, rounding up by a second would prolong them for ever.
  std::string value(BootTime now, BootTime more = {}, bool ended = false);

  // Whether to put a value now although nothing changes; `put`: when the last one was put, `told_beside`: what it
  // announced beside changes. etcd may forget changes made after the last witness unnoticed, unless other witnesses
  // show it. So while any promise may last, the witness is put each minute; and otherwise now and then, since it would
  // be taken for that of a server that is gone.
  bool is_due(BootTime put, BootTime told_beside, BootTime now) const;

  // A witness of another server exists. Returns its prefix the first time that it differs from ours.
  std::optional<std::string> saw(const std::string& key, std::string_view value, Revision revision, BootTime now);
  // There are no others than these.
  void keep_only(const Witnesses& others);

  // Those of servers that are gone, and have no promises that can still last. A server that has not said that it ends
  // counts as gone when its witness has not changed for two days (for some hours if there are many), and for twice the
  // time that its value announced: a server that misses its own witness must not have made a promise that lasts.
  Witnesses stale(BootTime now) const;

  void saw_generation(std::int64_t generation);

  // Without and with the knowledge of other servers' witnesses.
  Known known_of_ours(Revision highest) const;
  Known known_of_all(Revision highest) const;
  static Judgement judge(const Known& known, const Found& found, BootTime now);

  // From now on nothing is believed or done any more. False: that was already so, for the reason given then.
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
  std::atomic<BootTime> told_end_{BootTime()};  // what values announce, whether or not it came about
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
