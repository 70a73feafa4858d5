#include "history/history_checker.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "history/token_order.h"

namespace sharedlock::test {

namespace {

using Kind = Operation::Kind;
using Answer = Operation::Answer;
using Operations = std::vector<const Operation*>;
using Holder = std::pair<Client, int>;  // and its instance

constexpr Moment kAlways = Moment::min();
Holder holder_of(const Operation& operation) {
  return {operation.client, operation.instance};
}

// It lives until `until`, as its client or server knows from `known` on.
struct Promise {
  Moment known;
  Moment until;
};

// From one beginning of holding a resource to its end.
struct Holding {
  std::int64_t token = 0;
  std::optional<Holder> holder;  // nothing: it was seen, but no client was told that it holds it
  std::string owner;
  std::int64_t lease = 0;
  Moment asked = kAlways;       // it began after that
  Moment seen = kNever;         // it surely had begun
  Moment safe_until = kAlways;  // it does not end by its ttl before that
  Moment may_end = kAlways;     // it can't have ended before that
  Moment surely_over = kNever;  // no request that was sent after that can see it
  Moment newer_seen = kNever;   // when a newer holding surely had begun
  Moment others_seen = kNever;  // when a newer holding of surely another holder had begun
  std::vector<Promise> locked;  // lock API: what its grant and renewals promised, in the order of asking
  Operations evidence;          // answers that say that it is held
};

// A time in which a client may hold the resource: after `asked`, and not for requests that are sent after `over`.
struct MayHold {
  Moment asked;
  Moment over;
};

class ResourceCheck {
 public:
  ResourceCheck(std::string name, Operations operations, const History& history, const TokenOrder& tokens,
                LostKeepAlive lost, std::vector<std::string>& violations)
      : name_(std::move(name)),
        operations_(std::move(operations)),
        history_(history),
        tokens_(tokens),
        lost_(lost),
        violations_(violations) {
    std::ranges::sort(operations_, {}, &Operation::asked);
  }

  void run() {
    collect_holdings();
    extend_by_renewals();
    bound_by_own_deeds();
    bound_by_returned_leases();
    bound_by_absences();
    order_holdings();
    check_order();
    check_absences();
    if (lost_ == LostKeepAlive::is_doubtful) check_promises();
    check_refusals();
  }

 private:
  void complain(const std::string& what) { violations_.push_back(name_ + ": " + what); }
  static std::string text(const Holding& holding) { return "token " + std::to_string(holding.token); }

  Moment no_effect_after(const Operation& operation) const {
    auto life = static_cast<std::size_t>(operation.life);
    return life < history_.no_effect_after.size() ? history_.no_effect_after[life] : kNever;
  }

  void collect_holdings() {
    for (const Operation* operation : operations_) {
      if (!tells_token(*operation)) continue;
      Holding& holding = by_token_[operation->token];
      holding.token = operation->token;
      holding.seen = tokens_.given_by(operation->token);
      if (begins_holding(*operation)) {
        if (holding.seen < operation->asked) complain("a grant has " + text(holding) + ", which was seen before it");
        holding.asked = operation->asked;
        holding.safe_until = operation->asked + operation->ttl;
        holding.locked.push_back({operation->asked, holding.safe_until});
        holding.lease = operation->lease;
      }
      if (operation->kind != Kind::look) holding.holder = holder_of(*operation);
      take_evidence(holding, *operation);
    }
    for (auto& [token, holding] : by_token_) {
      if (holding.lease != 0) by_lease_.emplace(holding.lease, &holding);
    }
  }

  void take_evidence(Holding& holding, const Operation& operation) {
    holding.evidence.push_back(&operation);
    if (operation.owner.empty()) return;
    if (holding.owner.empty()) holding.owner = operation.owner;
    if (holding.owner != operation.owner) complain(text(holding) + " changed its owner to " + operation.owner);
  }

  // The holding of this lease, if its grant was answered.
  Holding* with_lease(const Operation& operation) {
    auto found = by_lease_.find(operation.lease);
    return found == by_lease_.end() ? nullptr : found->second;
  }

  void extend_by_renewals() {
    for (const Operation* operation : operations_) {
      if (operation->kind == Kind::renew) extend_lock(*operation);
      if (operation->kind != Kind::keep_alive || operation->answer != Answer::done) continue;
      Holding* holding = with_lease(*operation);
      if (!holding) continue;
      take_evidence(*holding, *operation);
      // Several clients may keep one lease alive at the same time.
      holding->safe_until = std::max(holding->safe_until, operation->asked + operation->ttl);
    }
  }

  // A lock is renewed by its holder alone, which has one request under way at a time.
  void extend_lock(const Operation& renewal) {
    if (renewal.answer == Answer::done) {
      Holding& holding = by_token_.at(renewal.token);
      holding.safe_until = renewal.asked + renewal.ttl;
      holding.locked.push_back({renewal.asked, holding.safe_until});
    } else if (renewal.answer == Answer::none) {
      for (auto& [token, holding] : by_token_) {
        if (holding.holder != holder_of(renewal) || holding.seen > renewal.answered) continue;
        holding.safe_until = std::min(holding.safe_until, renewal.asked + renewal.wanted);
        holding.locked.push_back({renewal.asked, holding.safe_until});
      }
    }
  }

  // A holder ends its own holding by a release and by a new acquire. What it asks after it was told of a holding
  // concerns that holding.
  void bound_by_own_deeds() {
    std::map<Holder, Operations> deeds;
    for (const Operation* operation : operations_) {
      if (operation->kind == Kind::release || operation->kind == Kind::acquire) {
        deeds[holder_of(*operation)].push_back(operation);
      }
    }
    for (auto& [token, holding] : by_token_) {
      if (!holding.holder) continue;
      holding.may_end = holding.safe_until;
      const Operations& own = deeds[*holding.holder];
      auto at = std::ranges::upper_bound(own, holding.seen, {}, &Operation::asked);
      auto may_replace_it = [&](const Operation* o) {
        return o->kind == Kind::acquire && o->answer == Answer::none && no_effect_after(*o) > holding.asked;
      };
      if (std::any_of(own.begin(), at, may_replace_it)) may_be_replaced_.insert(token);
      for (; at != own.end() && (*at)->answer == Answer::refused; ++at) {
      }
      if (at != own.end()) holding.may_end = std::min(holding.may_end, (*at)->asked);
      for (; at != own.end() && !((*at)->kind == Kind::release && (*at)->answer == Answer::done); ++at) {
      }
      if (at != own.end()) holding.surely_over = (*at)->answered;
    }
  }

  void bound_by_returned_leases() {
    for (const Operation* operation : operations_) {
      Holding* holding = operation->kind == Kind::give_back ? with_lease(*operation) : nullptr;
      if (!holding || operation->answer == Answer::absent) continue;
      holding->may_end = std::min(holding->may_end, operation->asked);
      if (operation->answer == Answer::done) {
        holding->surely_over = std::min(holding->surely_over, operation->answered);
      }
    }
  }

  // What an answer called over must not come back. A holding that was not seen before may have begun since.
  void bound_by_absences() {
    for (const Operation* operation : operations_) {
      if (operation->answer != Answer::absent) continue;
      bool of_lease = operation->kind != Kind::look;
      if (of_lease && lost_ == LostKeepAlive::is_doubtful) continue;
      for (auto& [token, holding] : by_token_) {
        if (holding.seen > operation->asked || (of_lease && holding.lease != operation->lease)) continue;
        holding.surely_over = std::min(holding.surely_over, operation->answered);
      }
    }
  }

  void order_holdings() {
    Moment newer = kNever;
    for (auto at = by_token_.rbegin(); at != by_token_.rend(); ++at) {
      Holding& holding = at->second;
      holding.newer_seen = holding.others_seen = newer;
      holding.surely_over = std::min(holding.surely_over, newer);
      newer = std::min(newer, holding.seen);
    }
    // An unanswered acquire of the holder may replace its holding by one that it is not told of.
    for (std::int64_t token : may_be_replaced_) {
      Holding& holding = by_token_.at(token);
      holding.others_seen = kNever;
      for (auto at = by_token_.upper_bound(token); at != by_token_.end(); ++at) {
        const Holding& other = at->second;
        if (other.holder && other.holder != holding.holder) {
          holding.others_seen = std::min(holding.others_seen, other.seen);
        }
      }
    }
  }

  void check_order() {
    for (const auto& [token, holding] : by_token_) {
      if (holding.others_seen < holding.may_end) {
        complain(text(holding) + " can't have ended when a newer holding was seen: two holders, or one was lost");
      }
      for (const Operation* operation : holding.evidence) {
        if (operation->asked <= holding.surely_over) continue;
        bool superseded = operation->asked > holding.newer_seen;
        complain(text(holding) + " is held again after " + (superseded ? "a newer one was seen" : "its end"));
        break;
      }
    }
  }

  // A holding can't have ended between the moment at which it was seen and `may_end`.
  class Pinned {
   public:
    void add(const Holding& holding) { spans_.push_back({holding.seen, holding.may_end}); }
    void finish() {
      std::ranges::sort(spans_, {}, &Span::from);
      for (std::size_t i = 1; i < spans_.size(); ++i) spans_[i].to = std::max(spans_[i].to, spans_[i - 1].to);
    }
    bool throughout(Moment from, Moment to) const {
      auto after = std::ranges::upper_bound(spans_, from, {}, &Span::from);
      return after != spans_.begin() && std::prev(after)->to > to;
    }

   private:
    std::vector<Span> spans_;
  };

  void check_absences() {
    Pinned all;
    std::map<Holder, Pinned> of_holder;
    for (const auto& [token, holding] : by_token_) {
      all.add(holding);
      if (holding.holder) of_holder[*holding.holder].add(holding);
    }
    all.finish();
    for (auto& [holder, pinned] : of_holder) pinned.finish();

    for (const Operation* operation : operations_) {
      bool absent = operation->answer == Answer::absent;
      if (operation->kind == Kind::look && absent && all.throughout(operation->asked, operation->answered)) {
        complain("nobody holds it, though a holding can't have ended: it was lost");
      }
      if (operation->kind != Kind::look && absent && lost_ == LostKeepAlive::is_gone) {
        Holding* holding = with_lease(*operation);
        if (holding && operation->answered < holding->may_end) {
          complain(text(*holding) + ": its lease is gone before its time");
        }
      }
      auto own = of_holder.find(holder_of(*operation));
      bool own_is_refused = operation->answer == Answer::refused && operation->kind != Kind::grant;
      if (!own_is_refused || own == of_holder.end()) continue;
      // `expiry` counts in whole seconds.
      if (operation->kind == Kind::renew && may_be_too_late(*operation)) continue;
      if (own->second.throughout(operation->asked, operation->answered)) complain("its own holder is refused");
    }
  }

  // The lock is past its expiry by the clock of a server that is ahead. A server that is behind may still renew it.
  bool may_be_too_late(const Operation& renewal) const {
    if (history_.clock_skew.count() == 0) return false;
    Moment until = renewal.answered + history_.clock_skew + std::chrono::seconds(1);  // `expiry` counts whole seconds
    return std::ranges::any_of(by_token_, [&](const auto& entry) {
      const Holding& holding = entry.second;
      auto later = std::ranges::lower_bound(holding.locked, renewal.asked, {}, &Promise::known);
      bool is_own = holding.holder == holder_of(renewal) && later != holding.locked.begin();
      return is_own && holding.surely_over >= renewal.asked && std::prev(later)->until <= until;
    });
  }

  // A server knows that what it has granted or renewed, to any client, lives for the ttl; it must not call it lost
  // before.
  void check_promises() {
    std::map<std::pair<std::int64_t, int>, std::vector<Promise>> promises;  // by lease, and life of the server
    for (const Operation* operation : operations_) {
      bool alive = operation->kind == Kind::grant || operation->kind == Kind::keep_alive;
      if (!alive || operation->answer != Answer::done) continue;
      promises[{operation->lease, operation->life}].push_back({operation->answered, operation->asked + operation->ttl});
    }
    for (const Operation* operation : operations_) {
      if (operation->kind != Kind::keep_alive || operation->answer != Answer::absent) continue;
      const Holding* holding = with_lease(*operation);
      if (!holding) continue;
      auto broken = [&](const Promise& promise) {
        return promise.known <= operation->asked && operation->answered < promise.until;
      };
      if (std::ranges::any_of(promises[{operation->lease, operation->life}], broken)) {
        complain("its lease is called lost before its ttl has passed");
      }
    }
  }

  // Tries without an answer. A try surely holds nothing once a request that was sent when it could happen no more shows
  // that the resource is free, or the token of its holder.
  std::vector<MayHold> open_tries() const {
    std::vector<MayHold> tries;
    for (const Operation* operation : operations_) {
      if (!begins_holding(*operation) || operation->answer != Answer::none) continue;
      Moment over = kNever;
      auto at = std::ranges::upper_bound(operations_, no_effect_after(*operation), {}, &Operation::asked);
      for (; at != operations_.end(); ++at) {
        bool shows = (*at)->answer == Answer::absent ? (*at)->kind == Kind::look : tells_token(**at);
        if (shows) over = std::min(over, (*at)->answered);
        if (shows) break;
      }
      tries.push_back({operation->asked, over});
    }
    return tries;
  }

  void check_refusals() {
    std::vector<MayHold> may_hold = open_tries();
    for (const auto& [token, holding] : by_token_) may_hold.push_back({holding.asked, holding.surely_over});
    std::ranges::sort(may_hold, {}, &MayHold::asked);
    Moment latest = kAlways;
    for (MayHold& one : may_hold) latest = one.over = std::max(latest, one.over);

    auto waits = [](const Operation* operation) { return operation->wait.count() > 0; };
    auto first = std::ranges::find_if(operations_, waits);
    Moment line_from = first == operations_.end() ? kNever : (*first)->asked;
    for (const Operation* operation : operations_) {
      if (!begins_holding(*operation) || operation->answer != Answer::refused) continue;
      if (operation->answered > line_from) continue;
      auto after = std::ranges::upper_bound(may_hold, operation->answered, {}, &MayHold::asked);
      bool possible = after != may_hold.begin() && std::prev(after)->over >= operation->asked;
      if (!possible) complain("a try is refused though nobody can hold it: an end was undone");
    }
  }

  const std::string name_;
  Operations operations_;  // by the time at which they were asked
  const History& history_;
  const TokenOrder& tokens_;
  const LostKeepAlive lost_;
  std::vector<std::string>& violations_;
  std::map<std::int64_t, Holding> by_token_;
  std::map<std::int64_t, Holding*> by_lease_;
  std::set<std::int64_t> may_be_replaced_;  // tokens that an open acquire of their holder may yet replace
};

void check_numbers(const History& history, std::vector<std::string>& violations) {
  std::set<std::pair<std::string, std::int64_t>> granted;
  std::set<std::int64_t> leases;
  for (const Operation& operation : history.operations) {
    if (!begins_holding(operation) || operation.answer != Answer::done) continue;
    if (!granted.emplace(operation.resource, operation.token).second) {
      violations.push_back("token " + std::to_string(operation.token) + " of " + operation.resource +
                           " is given twice");
    }
    if (operation.kind == Kind::grant && !leases.insert(operation.lease).second) {
      violations.push_back("a lease id of " + operation.resource + " is given twice");
    }
  }
}

}  // namespace

std::vector<std::string> violations_in(const History& history, LostKeepAlive lost) {
  std::vector<std::string> violations;
  check_numbers(history, violations);
  const TokenOrder tokens(history.operations);
  std::map<std::string, Operations> by_resource;
  for (const Operation& operation : history.operations) by_resource[operation.resource].push_back(&operation);
  for (auto& [name, operations] : by_resource) {
    ResourceCheck(name, std::move(operations), history, tokens, lost, violations).run();
  }
  return violations;
}

}  // namespace sharedlock::test
