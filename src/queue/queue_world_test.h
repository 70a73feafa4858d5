#pragma once

// Two servers, each with a QueueState of its own, over one store that is modelled here, and what may happen to them in
// a scene. Commits are applied and answered at any later moment, and each server hears of changes at any later moment,
// in their order.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "queue/queue_state.h"

namespace sharedlock::scenes {

inline const QueuePart kPart{.lock = "lock", .queue = "line/"};
inline const QueuePart kOther{.lock = "other", .queue = "other-line/"};

inline constexpr std::chrono::seconds kTick{3};  // longer than anything but an entry is kept
inline constexpr std::chrono::seconds kKept{5};

// The value of a lock is its holder; that of an entry, "waiter@server", of a set's "waiter@server#parts", and
// "~revision" behind it where it was joined again.
inline LockSight see_lock(const Entry& entry) {
  return {.holder = entry.value, .look_again = std::nullopt};
}
inline EntrySight see_entry(const Entry& entry) {
  std::size_t at = entry.value.find('@');
  std::size_t parts = entry.value.find('#');
  std::size_t since = entry.value.find('~');
  return {.waiter = entry.value.substr(0, at),
          .server = entry.value.substr(at + 1, 1),
          .parts = static_cast<std::uint8_t>(parts == std::string::npos ? 1 : entry.value[parts + 1] - '0'),
          .since = since == std::string::npos ? kAbsent : Revision{std::stoll(entry.value.substr(since + 1))}};
}

struct Scene {
  struct Client {
    std::string name;
    std::size_t server;
    std::vector<QueuePart> waits_for = {kPart};
    bool keeps = false;  // its entry, while it is away
    std::optional<std::size_t> of =
        std::nullopt;  // that client's next request, after its connection was cut, noticed or not
  };
  std::vector<Client> clients;
  int foreign_takes = 0;  // by a program that knows nothing of queues
  int crashes = 0;        // of the first server: its session ends with it
  int lost_answers = 0;
  int gaps = 0;          // in what the second server is told
  int session_ends = 0;  // of the first server, which lives on
  int leaves = 0;        // of the first client
  int cuts = 0;          // of connections, noticed by their servers, which keep the clients' entries
  int give_ups = 0;      // by clients after such a cut
  int ticks = 0;         // by which time passes before the end
  bool deaf = false;     // the first server hears nothing, but lives
};

class World {
 public:
  explicit World(const Scene& scene) : scene_(scene) {
    for (std::size_t i = 0; i < 2; ++i) {
      servers_.emplace_back();
      servers_.back().mark = std::string(1, static_cast<char>('A' + i));
      servers_.back().queue_state = std::make_unique<QueueState>(servers_.back().mark, see_lock, see_entry);
    }
    clients_.resize(scene.clients.size());
    put("lock", "holder");
  }

  // What may happen next; each is one letter and a number.
  using Action = std::pair<char, std::size_t>;
  std::vector<Action> actions() const {
    std::vector<Action> all;
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      bool earlier = c == 0 || clients_[c - 1].state != ClientState::idle;
      auto of = scene_.clients[c].of;
      earlier &= !of || clients_[*of].state == ClientState::waiting || clients_[*of].state == ClientState::away;
      if (clients_[c].state == ClientState::idle && earlier && servers_[scene_.clients[c].server].alive) {
        all.emplace_back('w', c);
      }
    }
    for (std::size_t s = 0; s < servers_.size(); ++s) {
      const Server& server = servers_[s];
      bool deaf = scene_.deaf && s == 0;
      if (server.alive && !deaf && server.told < log_.size()) all.emplace_back('e', s);
    }
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      all.emplace_back(ops_[i].applied ? 'a' : 'o', i);
      bool may_get_lost = ops_[i].kind == 'j' || ops_[i].kind == 'J' || ops_[i].kind == 't';
      if (ops_[i].applied && lost_ < scene_.lost_answers && may_get_lost) all.emplace_back('l', i);
    }
    for (const auto& [key, entry] : entries_) {
      if (key == "lock") all.emplace_back('r', 0);
      if (key == "other") all.emplace_back('r', 1);
    }
    if (!entries_.contains("lock") && foreign_ < scene_.foreign_takes) all.emplace_back('f', 0);
    if (crashed_ < scene_.crashes) all.emplace_back('c', 0);
    if (session_ended_ < scene_.session_ends) all.emplace_back('s', 0);
    if (gaps_ < scene_.gaps && servers_[1].told < log_.size()) all.emplace_back('g', 1);
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      bool waits = scene_.clients[c].keeps && clients_[c].state == ClientState::waiting;
      if (cuts_ < scene_.cuts && waits && servers_[scene_.clients[c].server].alive) all.emplace_back('k', c);
    }
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      bool away = clients_[c].state == ClientState::away && servers_[scene_.clients[c].server].alive;
      if (given_up_ < scene_.give_ups && away) all.emplace_back('u', c);
    }
    if (ticks_ < scene_.ticks) all.emplace_back('t', 0);
    if (left_ < scene_.leaves && clients_[0].state == ClientState::waiting) all.emplace_back('q', 0);
    return all;
  }

  void act(Action action) {
    auto [what, i] = action;
    if (what == 'w') begin_wait(i);
    if (what == 'e') tell(servers_[i]);
    if (what == 'o') apply(ops_[i]);
    if (what == 'a') answer(i, /*lost=*/false);
    if (what == 'l') answer(i, /*lost=*/true);
    if (what == 'r') erase({i == 0 ? "lock" : "other"});
    if (what == 'f') {
      ++foreign_;
      put("lock", "foreign");
    }
    if (what == 'c') {
      ++crashed_;
      servers_[0].alive = false;
      std::erase_if(ops_, [](const Op& op) { return op.server == 0; });
      end_session();
    }
    if (what == 's') {
      ++session_ended_;
      end_session();
    }
    if (what == 'g') {
      ++gaps_;
      servers_[1].told = log_.size();
      servers_[1].queue_state->reset();
      carry_out(1);
    }
    if (what == 'q') {
      ++left_;
      leave(0);
    }
    if (what == 'k') {
      ++cuts_;
      cut(i);
    }
    if (what == 'u') {
      ++given_up_;
      give_up(i);
    }
    if (what == 't') {
      ++ticks_;
      let_time_pass();
    }
  }

  // When nothing else can happen, time passes.
  bool let_time_pass() {
    now_ += kTick;
    std::size_t before = ops_.size();
    for (std::size_t s = 0; s < servers_.size(); ++s) {
      if (!servers_[s].alive) continue;
      servers_[s].queue_state->advance(now_);
      carry_out(s);
    }
    return ops_.size() > before;
  }

  // A client that still waits at a living server; empty: none.
  std::string stuck() const {
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      const Server& server = servers_[scene_.clients[c].server];
      bool waits = clients_[c].state == ClientState::waiting && server.alive;
      if (waits && !(scene_.deaf && scene_.clients[c].server == 0)) return scene_.clients[c].name;
    }
    return {};
  }

  // An entry that still stands in the store; empty: none.
  std::string left_behind() const {
    for (const auto& [key, entry] : entries_) {
      bool is_entry = key.starts_with(kPart.queue) || key.starts_with(kOther.queue);
      if (is_entry && !(scene_.deaf && entry.value.find("@A") != std::string::npos)) return key;
    }
    return {};
  }

  const std::string& fault() const { return fault_; }

  void check_invariants() const {
    for (const Server& server : servers_) server.queue_state->check_invariants();
  }

  std::string text() const {
    std::ostringstream out;
    for (const auto& [key, entry] : entries_) {
      out << key << '=' << entry.value << number_of(entry.created) << ',' << number_of(entry.revision) << ';';
    }
    for (const Server& server : servers_)
      out << server.alive << server.told << '{' << server.queue_state->text() << '}';
    for (const Op& op : ops_) {
      out << op.kind << op.server << op.applied << op.waiter << op.part.lock << number_of(op.at) << op.won << op.retake;
      for (const std::string& entry : op.entries) out << entry;
      for (const auto& [key, revision] : op.expect) out << key << number_of(revision);
      if (op.found) out << number_of(op.found->as_of) << (op.found->entry ? 1 : 0);
    }
    for (const Client& client : clients_) {
      out << static_cast<int>(client.state) << client.id << client.kept << client.has_joined << client.entry;
    }
    out << log_.size() << foreign_ << crashed_ << lost_ << gaps_ << session_ended_ << left_ << cuts_ << given_up_
        << ticks_;
    return out.str();
  }

 private:
  enum class ClientState { idle, waiting, granted, gone, away };
  struct Client {
    ClientState state = ClientState::idle;
    QueueState::WaiterId id = 0;
    bool kept = false;  // its server knows that it is away
    bool has_kept_entry = false;
    bool has_joined = false;
    bool is_newest = false;  // it came when the client's earlier request had an entry already
    std::string entry = {};  // of the earlier request, as it stood when this one came
  };
  struct Server {
    std::string mark;
    std::unique_ptr<QueueState> queue_state;
    std::size_t told = 0;
    bool alive = true;
  };
  struct Op {
    char kind;  // l: load, j: join, J: rejoin, t: take, r: remove, e: evict
    std::size_t server;
    QueueState::WaiterId waiter = 0;
    QueuePart part = {};
    std::vector<std::pair<std::string, Revision>> expect = {};
    std::vector<std::string> entries = {};  // put, or erased
    std::vector<std::string> left = {};     // erased with that
    Revision since = kAbsent;
    std::vector<std::string> locks = {};
    bool look = false;  // a remove that knows no revision
    bool applied = false;
    bool won = false;
    bool retake = false;
    Revision at{};
    std::optional<Revision> stood = {};  // the revision of its entries, if they stood there already
    std::optional<Found> found = {};
    Listing listing = {};
  };

  Client& client_of(std::size_t server, QueueState::WaiterId id) { return clients_[index_of(server, id)]; }
  std::size_t index_of(std::size_t server, QueueState::WaiterId id) const {
    for (std::size_t c = 0; c < clients_.size(); ++c) {
      if (scene_.clients[c].server == server && clients_[c].id == id) return c;
    }
    return 0;
  }

  // The store.
  Revision next() { return revision_ = Revision{number_of(revision_) + 1}; }
  void put(const std::string& key, const std::string& value) { change({{key, value}}, {}); }
  void erase(const std::vector<std::string>& keys) { change({}, keys); }
  void change(const std::vector<std::pair<std::string, std::string>>& puts, const std::vector<std::string>& erased) {
    ChangeBatch batch{.revision = next(), .changes = {}};
    for (const auto& key : erased) {
      auto gone = entries_.extract(key);
      if (gone) batch.changes.push_back({.key = key, .now = std::nullopt, .previous = gone.mapped()});
    }
    for (const auto& [key, value] : puts) {
      Entry& entry = entries_[key];
      if (entry.created == kAbsent) entry.created = batch.revision;
      entry.value = value;
      entry.revision = batch.revision;
      batch.changes.push_back({.key = key, .now = entry, .previous = std::nullopt});
    }
    if (!batch.changes.empty()) log_.push_back(std::move(batch));
  }
  Revision revision_of(const std::string& key) const {
    auto entry = entries_.find(key);
    return entry == entries_.end() ? kAbsent : entry->second.revision;
  }
  bool holds(const Op& op) const {
    return std::ranges::all_of(op.expect, [this](const auto& one) { return revision_of(one.first) == one.second; });
  }
  void end_session() {
    std::vector<std::string> entries;
    for (const auto& [key, entry] : entries_) {
      if (entry.value.find("@A") != std::string::npos) entries.push_back(key);
    }
    if (!entries.empty()) erase(entries);
  }

  void begin_wait(std::size_t c) {
    const Scene::Client& client = scene_.clients[c];
    Server& server = servers_[client.server];
    if (std::ranges::any_of(client.waits_for, [&](const auto& part) { return is_held_by(part.lock, client.name); })) {
      clients_[c].state = ClientState::granted;
      return;
    }
    clients_[c].state = ClientState::waiting;
    // Not if the client goes to and fro: the first server may not have heard yet that its entry went to the second one.
    clients_[c].is_newest = client.of && clients_[*client.of].has_joined && !scene_.clients[*client.of].of;
    if (client.of) clients_[*client.of].is_newest = false;
    if (client.of && may_count_on_its_entry(*client.of)) {
      clients_[c].entry = entry_of(client.name, client.waits_for.front().queue);
    }
    clients_[c].id = server.queue_state->add(client.waits_for, client.name,
                                             client.keeps ? QueueState::Back::from_anywhere : QueueState::Back::no);
    carry_out(client.server);
  }

  bool is_held_by(const std::string& lock, const std::string& name) const {
    auto held = entries_.find(lock);
    return held != entries_.end() && held->second.value == name;
  }

  // Not if the answer to its own put may be lost, nor when its time is over.
  bool may_count_on_its_entry(std::size_t c) const {
    if (clients_[c].has_kept_entry) return servers_[scene_.clients[c].server].queue_state->kept() > 0;
    return scene_.lost_answers == 0 && !clients_[c].kept;
  }

  // The last entry of that client in that queue; empty: none.
  std::string entry_of(const std::string& name, const std::string& queue) const {
    auto last = entries_.end();
    for (auto one = entries_.begin(); one != entries_.end(); ++one) {
      bool is_its_own = one->first.starts_with(queue) && one->second.value.starts_with(name + "@");
      if (is_its_own && (last == entries_.end() || one->second.created > last->second.created)) last = one;
    }
    return last == entries_.end() ? std::string() : last->first;
  }

  bool is_busy(std::size_t c) const {
    return std::ranges::any_of(ops_, [&](const Op& op) {
      return op.server == scene_.clients[c].server && op.waiter == clients_[c].id && (op.kind == 'j' || op.kind == 't');
    });
  }

  // The server has noticed the cut. The coroutine first finishes what it has begun.
  void cut(std::size_t c) {
    clients_[c].state = ClientState::away;
    if (!is_busy(c)) keep(c);
  }

  void keep(std::size_t c) {
    std::size_t s = scene_.clients[c].server;
    clients_[c].kept = true;
    std::size_t before = servers_[s].queue_state->kept();
    servers_[s].queue_state->keep(clients_[c].id, kKept);
    clients_[c].has_kept_entry = servers_[s].queue_state->kept() > before;
    carry_out(s);
  }

  void give_up(std::size_t c) {
    const Scene::Client& client = scene_.clients[c];
    std::vector<std::string> locks;
    for (const QueuePart& part : client.waits_for) locks.push_back(part.lock);
    servers_[client.server].queue_state->give_up(locks, client.name);
    if (clients_[c].kept) clients_[c].state = ClientState::gone;
    carry_out(client.server);
  }

  void leave(std::size_t c) {
    clients_[c].state = ClientState::gone;
    std::size_t s = scene_.clients[c].server;
    // The coroutine first finishes what it has begun.
    if (is_busy(c)) return;
    servers_[s].queue_state->left(clients_[c].id);
    carry_out(s);
  }

  void tell(Server& server) {
    server.queue_state->changed(log_[server.told++]);
    carry_out(server.mark == "A" ? 0 : 1);
  }

  void carry_out(std::size_t s) {
    QueueState& queue_state = *servers_[s].queue_state;
    for (auto effects = queue_state.take_effects(); !effects.empty(); effects = queue_state.take_effects()) {
      for (const auto& effect : effects) carry_out(s, effect);
    }
  }

  void carry_out(std::size_t s, const QueueState::Effect& effect) {
    QueueState& queue_state = *servers_[s].queue_state;
    if (auto* wake = std::get_if<QueueState::Wake>(&effect)) {
      Client& client = client_of(s, wake->waiter);
      if (client.id != wake->waiter) return;
      if (client.state == ClientState::away) {
        if (client.kept) fault_ = scene_.clients[index_of(s, wake->waiter)].name + " is away, and is told to act";
        if (wake->step == QueueState::Step::superseded) client.state = ClientState::gone;
        return;
      }
      if (wake->step == QueueState::Step::superseded && client.is_newest && client.state == ClientState::waiting) {
        fault_ = scene_.clients[index_of(s, wake->waiter)].name + " is told of a newer request, and there is none";
      }
      if (client.state == ClientState::gone || wake->step == QueueState::Step::superseded) {
        client.state = ClientState::gone;
        bool busy = std::ranges::any_of(
            ops_, [&](const Op& op) { return op.server == s && op.waiter == wake->waiter && op.kind != 'J'; });
        if (!busy) queue_state.left(wake->waiter);
      } else if (wake->step == QueueState::Step::join) {
        ops_.push_back(join_op('j', s, wake->waiter));
      } else {
        Op op = take_op(s, wake->waiter, {});
        op.retake = wake->step == QueueState::Step::retake;
        bool takes_free = std::ranges::any_of(op.locks, [&](const auto& lock) { return !entries_.contains(lock); });
        if (op.retake && takes_free) {
          give_up(op, QueueState::EntryFate::there);
        } else {
          ops_.push_back(std::move(op));
        }
      }
    } else if (auto* load = std::get_if<QueueState::Load>(&effect)) {
      ops_.push_back({.kind = 'l', .server = s, .part = load->part});
    } else if (auto* remove = std::get_if<QueueState::Remove>(&effect)) {
      Op op{.kind = 'r', .server = s, .entries = {remove->entry}};
      op.look = !remove->revision.has_value();
      if (remove->revision) op.expect.emplace_back(remove->entry, *remove->revision);
      ops_.push_back(std::move(op));
    } else if (auto* evict = std::get_if<QueueState::Evict>(&effect)) {
      ops_.push_back({.kind = 'e',
                      .server = s,
                      .expect = {{evict->part.lock, kAbsent}, {evict->entry, evict->revision}},
                      .entries = {evict->entry}});
    } else {
      for (auto id : queue_state.take_lost(1)) ops_.push_back(join_op('J', s, id));
    }
  }

  Op join_op(char kind, std::size_t s, QueueState::WaiterId id) {
    QueueState::Join join = servers_[s].queue_state->join_of(id);
    Op op{.kind = kind, .server = s, .waiter = id, .entries = join.entries};
    for (const std::string& entry : join.entries) op.expect.emplace_back(entry, join.expected);
    op.since = join.since;
    for (const QueueState::Left& left : join.left) {
      op.expect.emplace_back(left.entry, left.revision);
      op.left.push_back(left.entry);
    }
    return op;
  }

  // `gone`: its entry is known not to stand there.
  Op take_op(std::size_t s, QueueState::WaiterId id, std::optional<bool> gone) {
    const Scene::Client& client = scene_.clients[index_of(s, id)];
    Op op{.kind = 't', .server = s, .waiter = id};
    for (const QueuePart& part : client.waits_for) {
      auto held = entries_.find(part.lock);
      bool mine = held != entries_.end() && held->second.value == client.name;
      op.expect.emplace_back(part.lock, mine ? held->second.revision : kAbsent);
      op.locks.push_back(part.lock);
    }
    QueueState::Join entries = servers_[s].queue_state->entries_of(id);
    if (gone.value_or(false)) return op;
    for (const std::string& entry : entries.entries) op.expect.emplace_back(entry, entries.expected);
    op.entries = entries.entries;
    return op;
  }

  void apply(Op& op) {
    op.applied = true;
    if (op.kind == 'l') {
      auto found = entries_.find(op.part.lock);
      op.found = Found{found == entries_.end() ? std::nullopt : std::optional(found->second), revision_};
      op.listing.as_of = revision_;
      for (const auto& [key, entry] : entries_) {
        if (key.starts_with(op.part.queue)) op.listing.entries.emplace_back(key, entry);
      }
      return;
    }
    op.won = holds(op) && !op.look;
    if (op.won && op.kind == 'e') evict_all(op);
    if (op.won && op.kind == 't') check_order(op);
    if (op.kind == 'r' && !op.won) {
      auto entry = entries_.find(op.entries.front());
      op.found = Found{entry == entries_.end() ? std::nullopt : std::optional(entry->second), revision_};
    }
    if (op.kind == 'j' || op.kind == 'J') {
      apply_join(op);
    } else if (op.won && op.kind == 't') {
      std::vector<std::pair<std::string, std::string>> puts;
      for (const std::string& lock : op.locks)
        puts.emplace_back(lock, scene_.clients[index_of(op.server, op.waiter)].name);
      change(puts, op.entries);
    } else if (op.won) {
      erase(op.entries);
    }
    op.at = op.stood.value_or(revision_);
  }

  // Evicts all entries of a set, or none: each must be the first in its queue.
  void evict_all(Op& op) {
    const Entry& evicted = entries_.at(op.entries.front());
    std::string name = op.entries.front().substr(op.entries.front().find('/') + 1);
    if (see_entry(evicted).parts == 1) return;
    op.entries.clear();
    for (const QueuePart& part : {kPart, kOther}) {
      auto first = entries_.end();
      for (auto one = entries_.begin(); one != entries_.end(); ++one) {
        if (!one->first.starts_with(part.queue)) continue;
        bool before = first == entries_.end() ||
                      std::pair(one->second.created, one->first) < std::pair(first->second.created, first->first);
        if (before) first = one;
      }
      op.won &= !entries_.contains(part.lock) && first != entries_.end() && first->first == part.queue + name;
      op.entries.push_back(part.queue + name);
    }
  }

  void apply_join(Op& op) {
    const Scene::Client& client = scene_.clients[index_of(op.server, op.waiter)];
    std::string value = client.name + "@" + servers_[op.server].mark;
    if (op.entries.size() > 1) value += "#" + std::to_string(op.entries.size());
    if (op.since != kAbsent) value += "~" + std::to_string(number_of(op.since));
    if (op.won) {
      const std::string& entry = clients_[index_of(op.server, op.waiter)].entry;
      bool is_its_own = std::ranges::find(op.entries, entry) != op.entries.end();
      if (entries_.contains(entry) && !is_its_own) fault_ = client.name + " has come back and lost its entry";
      std::vector<std::pair<std::string, std::string>> puts;
      for (const std::string& one : op.entries) puts.emplace_back(one, value);
      change(puts, op.left);
    } else {
      // The entries may be there by an earlier try that had no answer.
      auto is_there = [&](const std::string& one) {
        auto entry = entries_.find(one);
        return entry != entries_.end() && entry->second.value == value;
      };
      if (std::ranges::all_of(op.entries, is_there)) op.stood = revision_of(op.entries.front());
    }
  }

  // No other entry may stand before its own, in any of its queues where the lock was free.
  void check_order(const Op& op) {
    for (const std::string& mine : op.entries) {
      const Entry& entry = entries_.at(mine);
      std::string queue = mine.substr(0, mine.rfind('/') + 1);
      std::string lock = queue == kPart.queue ? kPart.lock : kOther.lock;
      if (entries_.contains(lock)) continue;
      for (const auto& [key, other] : entries_) {
        bool before = std::pair(other.created, key) < std::pair(entry.created, mine);
        if (key.starts_with(queue) && before) fault_ = mine + " overtook " + key;
      }
    }
  }

  void answer(std::size_t i, bool lost) {
    Op op = std::move(ops_[i]);
    ops_.erase(ops_.begin() + static_cast<std::ptrdiff_t>(i));
    lost_ += lost ? 1 : 0;
    QueueState& queue_state = *servers_[op.server].queue_state;
    if (op.kind == 'l') queue_state.loaded(op.part.lock, *op.found, op.listing);
    if (op.kind == 'r' && op.found && op.found->entry) {
      queue_state.not_removed(op.entries.front(), *op.found->entry);
    } else if (op.kind == 'r') {
      queue_state.removed(op.entries.front(), op.at);
    }
    bool again = op.kind == 'J' && lost;
    if (again && client_of(op.server, op.waiter).state == ClientState::waiting) {
      ops_.push_back(join_op('J', op.server, op.waiter));
    }
    if ((op.kind == 'j' || op.kind == 'J') && !again) {
      if ((op.won || op.stood) && !lost) {
        queue_state.joined(op.waiter, op.at);
        if (client_of(op.server, op.waiter).id == op.waiter) client_of(op.server, op.waiter).has_joined = true;
      } else {
        queue_state.not_joined(op.waiter, /*unanswered=*/lost);
      }
    }
    if (op.kind == 't') answer_take(op, lost);
    if (op.kind == 'j' || op.kind == 't') {
      Client& client = client_of(op.server, op.waiter);
      bool ended = client.id == op.waiter && !is_busy(index_of(op.server, op.waiter));
      if (ended && client.state == ClientState::gone) queue_state.left(op.waiter);
      if (ended && client.state == ClientState::away) {
        carry_out(op.server);
        if (client.state == ClientState::away) return keep(index_of(op.server, op.waiter));
        queue_state.left(op.waiter);
      }
    }
    carry_out(op.server);
  }

  // As LockService::take_turn() does.
  void answer_take(const Op& op, bool lost) {
    QueueState& queue_state = *servers_[op.server].queue_state;
    Client& client = client_of(op.server, op.waiter);
    const std::string& name = scene_.clients[index_of(op.server, op.waiter)].name;
    if (op.won && !lost) {
      if (client.state == ClientState::waiting) client.state = ClientState::granted;
      queue_state.finished(op.waiter, op.at);
      return;
    }
    QueueState::Join entries = queue_state.entries_of(op.waiter);
    QueueState::EntryFate seen = QueueState::EntryFate::there;
    for (const std::string& one : entries.entries) {
      auto entry = entries_.find(one);
      if (entry == entries_.end() && seen == QueueState::EntryFate::there) seen = QueueState::EntryFate::gone;
      bool another = entry != entries_.end() && entry->second.revision != entries.expected;
      if (another) seen = QueueState::EntryFate::taken_over;
    }
    bool may_try = true;
    for (const std::string& lock : op.locks) {
      auto held = entries_.find(lock);
      bool mine = held != entries_.end() && held->second.value == name;
      may_try &= mine || (held == entries_.end() && seen == QueueState::EntryFate::there && !op.retake);
    }
    if (may_try && client.state != ClientState::gone) {
      ops_.push_back(take_op(op.server, op.waiter, seen != QueueState::EntryFate::there));
      ops_.back().retake = op.retake;
      return;
    }
    give_up(op, seen);
  }

  void give_up(const Op& op, QueueState::EntryFate seen) {
    QueueState& queue_state = *servers_[op.server].queue_state;
    for (const std::string& lock : op.locks) {
      auto held = entries_.find(lock);
      queue_state.saw(lock, held == entries_.end() ? std::nullopt : std::optional(held->second), revision_,
                      std::nullopt);
    }
    queue_state.tried(op.waiter, seen);
  }

  const Scene& scene_;
  std::map<std::string, Entry> entries_;
  std::vector<ChangeBatch> log_;
  Revision revision_{};
  std::deque<Server> servers_;
  std::vector<Client> clients_;
  std::vector<Op> ops_;
  BootTime now_{};
  std::string fault_;
  int foreign_ = 0;
  int crashed_ = 0;
  int lost_ = 0;
  int gaps_ = 0;
  int session_ended_ = 0;
  int left_ = 0;
  int cuts_ = 0;
  int given_up_ = 0;
  int ticks_ = 0;
};

}  // namespace sharedlock::scenes
