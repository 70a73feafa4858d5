#include "store/etcd/witness/witness.h"

#include <algorithm>
#include <charconv>
#include <variant>

#include "base/random.h"

namespace sharedlock {

namespace {

constexpr std::string_view kPromised = "promised=";
constexpr std::string_view kEnded = " ended";
constexpr std::string_view kPrefix = " prefix=";

// How long a witness may go unchanged while anything may be held, and otherwise.
constexpr std::chrono::minutes kWhilePromised{1};
constexpr std::chrono::minutes kWhileNot{60};

// After how long an unchanged witness is taken for that of a server that is gone: if it has said so, if there are so
// many that reading them costs much, and otherwise.
constexpr std::chrono::minutes kStaleEnded{1};
constexpr std::chrono::hours kStaleAmongMany = 3 * std::chrono::duration_cast<std::chrono::hours>(kWhileNot);
constexpr std::chrono::hours kStale{48};
constexpr std::size_t kMany = 32;

template <class T>
void raise_to(std::atomic<T>& value, T least) {
  T before = value;
  while (least > before && !value.compare_exchange_weak(before, least)) {
  }
}

std::string number(Revision revision) {
  return std::to_string(number_of(revision));
}

// The evidence that etcd forgot; empty: none.
std::string evidence(const EtcdWitness::Known& known, const EtcdWitness::Found& found) {
  if (found.own == kAbsent && known.floor != kAbsent) {
    return "etcd no longer has this server's witness, which it confirmed at revision " + number(known.floor);
  }
  if (found.own < known.floor) {
    return "etcd has this server's witness as of revision " + number(found.own) + ", and confirmed it at " +
           number(known.floor);
  }
  // An absent one may have been erased: its server has been silent for two days.
  for (const auto& [key, revision] : found.others) {
    auto before = known.others.find(key);
    if (before != known.others.end() && revision < before->second) {
      return "etcd has " + key + " as of revision " + number(revision) + ", and showed it at " + number(before->second);
    }
  }
  if (found.as_of < known.highest) {
    return "etcd is at revision " + number(found.as_of) + ", and was at " + number(known.highest);
  }
  return {};
}

}  // namespace

std::string to_text(const WitnessValue& value) {
  std::string text(kPromised);
  text += std::to_string(value.promised.count());
  if (value.ended) text += kEnded;
  text += kPrefix;
  return text += value.prefix;
}

std::optional<WitnessValue> parse_witness_value(std::string_view text) {
  if (!text.starts_with(kPromised)) return std::nullopt;
  text.remove_prefix(kPromised.size());
  std::int64_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || seconds < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  WitnessValue value{.promised = std::chrono::seconds(seconds), .ended = text.starts_with(kEnded), .prefix = {}};
  if (value.ended) text.remove_prefix(kEnded.size());
  if (!text.starts_with(kPrefix)) return std::nullopt;
  value.prefix = text.substr(kPrefix.size());
  return value;
}

std::optional<BootTime> WitnessedPromise::until(BootTime from) const {
  if (ttl == Ttl{0} && end == BootTime()) return std::nullopt;
  return std::max(end, saturating_add(from, ttl));
}

WitnessedPromise promise_of(const Transaction& transaction) {
  WitnessedPromise promise;
  for (const Mutation& change : transaction.changes) {
    auto* put = std::get_if<Put>(&change);
    if (!put) continue;
    if (auto* own = std::get_if<OwnLease>(&put->lifetime)) promise.ttl = std::max(promise.ttl, own->ttl);
    if (auto* pooled = std::get_if<PooledLease>(&put->lifetime)) promise.ttl = std::max(promise.ttl, pooled->ttl);
    if (auto* until = std::get_if<PooledUntil>(&put->lifetime)) promise.end = std::max(promise.end, until->end);
    if (auto* keep = std::get_if<KeepLease>(&put->lifetime)) promise.end = std::max(promise.end, keep->end);
  }
  return promise;
}

EtcdWitness::EtcdWitness(std::string prefix, std::chrono::seconds largest_ttl)
    : key_(std::string(kWitnessPrefix) + random_uuid()), prefix_(std::move(prefix)), largest_ttl_(largest_ttl) {}

void EtcdWitness::confirmed(Revision revision) {
  raise_to(floor_, revision);
}

void EtcdWitness::promised(BootTime end) {
  raise_to(promised_end_, end);
}

void EtcdWitness::promised_beside(BootTime from, std::chrono::seconds ttl) {
  promised(saturating_add(from, ttl));
  raise_to(promised_beside_, ttl);
  raise_to(promised_beside_end_, saturating_add(from, ttl));
}

// Twice as long as one promise lasts, so that one value covers many.
std::chrono::seconds EtcdWitness::beside() const {
  std::chrono::seconds once = promised_beside_;
  return std::clamp(2 * once, once, std::max(once, largest_ttl_));
}

bool EtcdWitness::is_due(BootTime put, BootTime told_beside, BootTime now) const {
  if (promised_beside_end_.load() > told_beside) return true;
  return now - put >= (promised_end() > now ? kWhilePromised : kWhileNot);
}

std::string EtcdWitness::value(BootTime now, BootTime more, bool ended) {
  raise_to(told_end_, more);
  auto left = std::chrono::ceil<std::chrono::seconds>(std::max({promised_end_.load(), told_end_.load(), now}) - now);
  return to_text({.promised = std::max(left, beside()), .ended = ended, .prefix = prefix_});
}

std::optional<std::string> EtcdWitness::saw(const std::string& key, std::string_view value, Revision revision,
                                            BootTime now) {
  if (key == key_) return std::nullopt;
  auto read = parse_witness_value(value);
  std::scoped_lock lock(mutex_);
  Other& other = others_[key];
  if (revision <= other.revision) return std::nullopt;
  other = {.revision = revision, .since = now};
  if (!read) return std::nullopt;
  // Its settings may allow more than ours.
  other.promised = std::min(read->promised, kLongestPromise);
  other.ended = read->ended;
  raise_to(others_promised_end_, saturating_add(now, other.promised));
  if (read->ended || read->prefix == prefix_ || std::exchange(warned_, true)) return std::nullopt;
  return std::move(read->prefix);
}

void EtcdWitness::keep_only(const Witnesses& others) {
  std::scoped_lock lock(mutex_);
  std::erase_if(others_, [&](const auto& each) { return !others.contains(each.first); });
}

EtcdWitness::Witnesses EtcdWitness::stale(BootTime now) const {
  std::scoped_lock lock(mutex_);
  Witnesses stale;
  const std::chrono::seconds silent = others_.size() > kMany ? kStaleAmongMany : kStale;
  for (const auto& [key, other] : others_) {
    auto least = other.ended ? std::max<std::chrono::seconds>(kStaleEnded, other.promised)
                             : std::max(silent, 2 * other.promised);
    if (now - other.since >= least) stale.emplace(key, other.revision);
  }
  return stale;
}

void EtcdWitness::saw_generation(std::int64_t generation) {
  raise_to(generation_, generation);
}

EtcdWitness::Known EtcdWitness::known_of_ours(Revision highest) const {
  Known known{.floor = floor_, .highest = highest, .generation = generation_, .others = {}, .promised_end = {}};
  known.promised_end = promised_end();
  return known;
}

EtcdWitness::Known EtcdWitness::known_of_all(Revision highest) const {
  Known known = known_of_ours(highest);
  std::scoped_lock lock(mutex_);
  for (const auto& [key, other] : others_) known.others.emplace_hint(known.others.end(), key, other.revision);
  return known;
}

EtcdWitness::Judgement EtcdWitness::judge(const Known& known, const Found& found, BootTime now) {
  std::string why = evidence(known, found);
  if (!why.empty() && found.generation > known.generation) return {Verdict::accepted, std::move(why)};
  if (!why.empty() && known.promised_end > now) return {Verdict::lost, std::move(why)};
  if (found.mark) return {Verdict::marked, *found.mark};
  if (!why.empty()) return {Verdict::over, std::move(why)};
  return {Verdict::fine, {}};
}

bool EtcdWitness::refuse(std::string why) {
  std::scoped_lock lock(mutex_);
  if (refuses_) return false;
  why_ = std::move(why);
  refuses_ = true;
  return true;
}

std::optional<Error> EtcdWitness::refusal() const {
  if (!refuses_) return std::nullopt;
  std::scoped_lock lock(mutex_);
  return Error{Errc::unavailable, why_};
}

}  // namespace sharedlock
