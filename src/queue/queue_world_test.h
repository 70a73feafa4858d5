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
  std::vector<Action> actions() const;
  void act(Action action);
  // When nothing else can happen, time passes.
  bool let_time_pass();
  // A client that still waits at a living server; empty: none.
  std::string stuck() const;
  // An entry that still stands in the store; empty: none.
  std::string left_behind() const;

  const std::string& fault() const { return fault_; }

  void check_invariants() const {
    for (const Server& server : servers_) server.queue_state->check_invariants();
  }

  std::string text() const;

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
  std::size_t index_of(std::size_t server, QueueState::WaiterId id) const;

  // The store.
  Revision next() { return revision_ = Revision{number_of(revision_) + 1}; }
  void put(const std::string& key, const std::string& value) { change({{key, value}}, {}); }
  void erase(const std::vector<std::string>& keys) { change({}, keys); }
  void change(const std::vector<std::pair<std::string, std::string>>& puts, const std::vector<std::string>& erased);
  Revision revision_of(const std::string& key) const {
    auto entry = entries_.find(key);
    return entry == entries_.end() ? kAbsent : entry->second.revision;
  }
  bool holds(const Op& op) const {
    return std::ranges::all_of(op.expect, [this](const auto& one) { return revision_of(one.first) == one.second; });
  }
  void end_session();
  bool is_held_by(const std::string& lock, const std::string& name) const {
    auto held = entries_.find(lock);
    return held != entries_.end() && held->second.value == name;
  }
  // The last entry of that client in that queue; empty: none.
  std::string entry_of(const std::string& name, const std::string& queue) const;

  // The clients.
  void begin_wait(std::size_t c);
  // Not if the answer to its own put may be lost, nor when its time is over.
  bool may_count_on_its_entry(std::size_t c) const;
  bool is_busy(std::size_t c) const;
  // The server has noticed the cut. The coroutine first finishes what it has begun.
  void cut(std::size_t c);
  void keep(std::size_t c);
  void give_up(std::size_t c);
  void leave(std::size_t c);

  // What the servers are told and do.
  void tell(Server& server) {
    server.queue_state->changed(log_[server.told++]);
    carry_out(server.mark == "A" ? 0 : 1);
  }
  void carry_out(std::size_t s);
  void carry_out(std::size_t s, const QueueState::Effect& effect);
  Op join_op(char kind, std::size_t s, QueueState::WaiterId id);
  // `gone`: its entry is known not to stand there.
  Op take_op(std::size_t s, QueueState::WaiterId id, std::optional<bool> gone);
  void apply(Op& op);
  // Evicts all entries of a set, or none: each must be the first in its queue.
  void evict_all(Op& op);
  void apply_join(Op& op);
  // No other entry may stand before its own, in any of its queues where the lock was free.
  void check_order(const Op& op);
  void answer(std::size_t i, bool lost);
  // As LockWaiting::take_turn() does.
  void answer_take(const Op& op, bool lost);
  void give_up(const Op& op, QueueState::EntryFate seen);

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
