#include "crash/history_checker.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

namespace sharedlock::test {

namespace {

using Kind = Operation::Kind;
using Answer = Operation::Answer;
using Operations = std::vector<const Operation*>;

constexpr Moment kNever = Moment::max();
constexpr Moment kAlways = Moment::min();

// From one beginning of holding a resource to its end.
struct Holding {
  std::int64_t token = 0;
  std::optional<Client> client;  // nothing: it was seen, but nobody was told that it is his
  std::string owner;
  std::int64_t lease = 0;
  Moment asked = kAlways;       // it began after that
  Moment seen = kNever;         // it surely had begun
  Moment safe_until = kAlways;  // it does not end by its ttl before that
  Moment may_end = kAlways;     // it can't have ended before that
  Moment surely_over = kNever;  // it can't be seen by what was asked after that
  Moment newer_seen = kNever;   // when a newer holding surely had begun
  Operations evidence;          // answers that say that it is held
};

// A time in which somebody may hold the resource: after `asked`, and not for what is asked after `over`.
struct MayHold {
  Moment asked;
  Moment over;
};

class ResourceCheck {
 public:
  ResourceCheck(std::string name, Operations operations, const std::vector<Moment>& ends, LostKeepAlive lost,
                std::vector<std::string>& violations)
      : name_(std::move(name)), operations_(std::move(operations)), ends_(ends), lost_(lost), violations_(violations) {
    std::ranges::sort(operations_, {}, &Operation::asked);
  }

  void run() {
    collect_holdings();
    extend_by_renewals();
    bound_by_own_deeds();
    bound_by_absences();
    order_holdings();
    check_order();
    check_absences();
    if (lost_ == LostKeepAlive::is_doubtful) check_promises();
    check_refusals();
  }

 private:
  static bool begins_holding(const Operation& operation) {
    return operation.kind == Kind::acquire || operation.kind == Kind::grant;
  }
  static bool tells_token(const Operation& operation) {
    return operation.answer == Answer::done && operation.kind != Kind::release && operation.kind != Kind::keep_alive;
  }

  void complain(const std::string& what) { violations_.push_back(name_ + ": " + what); }
  static std::string text(const Holding& holding) { return "token " + std::to_string(holding.token); }

  void collect_holdings() {
    for (const Operation* operation : operations_) {
      if (!tells_token(*operation)) continue;
      Holding& holding = by_token_[operation->token];
      holding.token = operation->token;
      if (begins_holding(*operation)) {
        if (holding.seen < operation->asked) complain("a grant has " + text(holding) + ", which was seen before it");
        holding.asked = operation->asked;
        holding.safe_until = operation->asked + operation->ttl;
        holding.lease = operation->lease;
      }
      if (operation->kind != Kind::look) holding.client = operation->client;
      take_evidence(holding, *operation);
    }
    for (auto& [token, holding] : by_token_) {
      if (holding.lease != 0) by_lease_.emplace(holding.lease, &holding);
    }
  }

  void take_evidence(Holding& holding, const Operation& operation) {
    holding.evidence.push_back(&operation);
    holding.seen = std::min(holding.seen, operation.answered);
    if (operation.owner.empty()) return;
    if (holding.owner.empty()) holding.owner = operation.owner;
    if (holding.owner != operation.owner) complain(text(holding) + " changed its owner to " + operation.owner);
  }

  void extend_by_renewals() {
    for (const Operation* operation : operations_) {
      if (operation->answer != Answer::done) continue;
      Holding* holding = nullptr;
      if (operation->kind == Kind::renew) holding = &by_token_.at(operation->token);
      if (operation->kind == Kind::keep_alive) {
        auto found = by_lease_.find(operation->lease);
        if (found == by_lease_.end()) continue;
        holding = found->second;
        take_evidence(*holding, *operation);
      }
      if (holding) holding->safe_until = std::max(holding->safe_until, operation->asked + operation->ttl);
    }
  }

  // A holder ends its own holding by release, and by acquiring anew. Each client asks one thing at a time, so what it
  // asks after it was told of a holding is about that one.
  void bound_by_own_deeds() {
    std::map<Client, Operations> deeds;
    for (const Operation* operation : operations_) {
      if (operation->kind == Kind::release || operation->kind == Kind::acquire) {
        deeds[operation->client].push_back(operation);
      }
    }
    for (auto& [token, holding] : by_token_) {
      if (!holding.client) continue;
      holding.may_end = holding.safe_until;
      const Operations& own = deeds[*holding.client];
      auto at = std::ranges::upper_bound(own, holding.seen, {}, &Operation::asked);
      for (; at != own.end() && (*at)->answer == Answer::refused; ++at) {
      }
      if (at != own.end()) holding.may_end = std::min(holding.may_end, (*at)->asked);
      for (; at != own.end() && !((*at)->kind == Kind::release && (*at)->answer == Answer::done); ++at) {
      }
      if (at != own.end()) holding.surely_over = (*at)->answered;
    }
  }

  // What was told to be over does not come back. A holding that was not seen before may have begun since.
  void bound_by_absences() {
    for (const Operation* operation : operations_) {
      if (operation->answer != Answer::absent) continue;
      bool of_lease = operation->kind == Kind::keep_alive;
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
      holding.newer_seen = newer;
      holding.surely_over = std::min(holding.surely_over, newer);
      newer = std::min(newer, holding.seen);
    }
  }

  void check_order() {
    for (const auto& [token, holding] : by_token_) {
      if (holding.newer_seen < holding.may_end) {
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
    void add(const Holding& holding) { spans_.emplace_back(holding.seen, holding.may_end); }
    void finish() {
      std::ranges::sort(spans_);
      for (std::size_t i = 1; i < spans_.size(); ++i)
        spans_[i].second = std::max(spans_[i].second, spans_[i - 1].second);
    }
    bool throughout(const Operation& operation) const {
      auto after = std::ranges::upper_bound(spans_, operation.asked, {}, &std::pair<Moment, Moment>::first);
      return after != spans_.begin() && std::prev(after)->second > operation.answered;
    }

   private:
    std::vector<std::pair<Moment, Moment>> spans_;
  };

  void check_absences() {
    Pinned all;
    std::map<Client, Pinned> of_client;
    for (const auto& [token, holding] : by_token_) {
      all.add(holding);
      if (holding.client) of_client[*holding.client].add(holding);
    }
    all.finish();
    for (auto& [client, pinned] : of_client) pinned.finish();

    for (const Operation* operation : operations_) {
      if (operation->kind == Kind::look && operation->answer == Answer::absent && all.throughout(*operation)) {
        complain("nobody holds it, though a holding can't have ended: it was lost");
      }
      bool gone = operation->answer == Answer::absent && lost_ == LostKeepAlive::is_gone;
      if (operation->kind == Kind::keep_alive && gone) {
        auto found = by_lease_.find(operation->lease);
        if (found != by_lease_.end() && operation->answered < found->second->may_end) {
          complain(text(*found->second) + ": its lease is gone before its time");
        }
      }
      bool own_is_refused = operation->answer == Answer::refused && operation->kind != Kind::grant;
      if (own_is_refused && of_client.contains(operation->client) &&
          of_client.at(operation->client).throughout(*operation)) {
        complain("its own holder is refused");
      }
    }
  }

  // What a server has granted or renewed it knows to live for the ttl: it must not call it lost before.
  void check_promises() {
    std::map<std::tuple<std::int64_t, Client, int>, Moment> promised;  // by lease, client, and life of the server
    for (const Operation* operation : operations_) {
      auto known = std::tuple(operation->lease, operation->client, operation->life);
      if (operation->kind == Kind::keep_alive && operation->answer == Answer::absent && promised.contains(known) &&
          operation->answered < promised.at(known)) {
        complain("its lease is called lost before its ttl has passed");
      }
      bool alive = operation->kind == Kind::grant || operation->kind == Kind::keep_alive;
      if (!alive || operation->answer != Answer::done) continue;
      Moment& until = promised.try_emplace(known, kAlways).first->second;
      until = std::max(until, operation->asked + operation->ttl);
    }
  }

  // When a try without an answer surely holds nothing: from the first look after its server's life that shows the
  // resource free or held by one whose token is known.
  std::vector<MayHold> open_tries() const {
    std::vector<MayHold> tries;
    for (const Operation* operation : operations_) {
      if (!begins_holding(*operation) || operation->answer != Answer::none) continue;
      auto life = static_cast<std::size_t>(operation->life);
      Moment end = life < ends_.size() ? ends_[life] : kNever;
      Moment over = kNever;
      for (auto at = std::ranges::upper_bound(operations_, end, {}, &Operation::asked); at != operations_.end(); ++at) {
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

    for (const Operation* operation : operations_) {
      if (!begins_holding(*operation) || operation->answer != Answer::refused) continue;
      auto after = std::ranges::upper_bound(may_hold, operation->answered, {}, &MayHold::asked);
      bool possible = after != may_hold.begin() && std::prev(after)->over >= operation->asked;
      if (!possible) complain("a try is refused though nobody can hold it: an end was undone");
    }
  }

  const std::string name_;
  Operations operations_;  // by the time at which they were asked
  const std::vector<Moment>& ends_;
  const LostKeepAlive lost_;
  std::vector<std::string>& violations_;
  std::map<std::int64_t, Holding> by_token_;
  std::map<std::int64_t, Holding*> by_lease_;
};

void check_numbers(const History& history, std::vector<std::string>& violations) {
  std::set<std::pair<std::string, std::int64_t>> granted;
  std::set<std::int64_t> leases;
  for (const Operation& operation : history.operations) {
    bool is_grant = operation.kind == Kind::acquire || operation.kind == Kind::grant;
    if (!is_grant || operation.answer != Answer::done) continue;
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
  std::map<std::string, Operations> by_resource;
  for (const Operation& operation : history.operations) by_resource[operation.resource].push_back(&operation);
  for (auto& [name, operations] : by_resource) {
    ResourceCheck(name, std::move(operations), history.ends, lost, violations).run();
  }
  return violations;
}

}  // namespace sharedlock::test
