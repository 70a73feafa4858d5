// What may happen in the world of a scene, and what its clients and its store do.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "queue/queue_world_test.h"

namespace sharedlock::scenes {

std::vector<World::Action> World::actions() const {
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

void World::act(Action action) {
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

bool World::let_time_pass() {
  now_ += kTick;
  std::size_t before = ops_.size();
  for (std::size_t s = 0; s < servers_.size(); ++s) {
    if (!servers_[s].alive) continue;
    servers_[s].queue_state->advance(now_);
    carry_out(s);
  }
  return ops_.size() > before;
}

std::string World::stuck() const {
  for (std::size_t c = 0; c < clients_.size(); ++c) {
    const Server& server = servers_[scene_.clients[c].server];
    bool waits = clients_[c].state == ClientState::waiting && server.alive;
    if (waits && !(scene_.deaf && scene_.clients[c].server == 0)) return scene_.clients[c].name;
  }
  return {};
}

std::string World::left_behind() const {
  for (const auto& [key, entry] : entries_) {
    bool is_entry = key.starts_with(kPart.queue) || key.starts_with(kOther.queue);
    if (is_entry && !(scene_.deaf && entry.value.find("@A") != std::string::npos)) return key;
  }
  return {};
}

std::string World::text() const {
  std::ostringstream out;
  for (const auto& [key, entry] : entries_) {
    out << key << '=' << entry.value << number_of(entry.created) << ',' << number_of(entry.revision) << ';';
  }
  for (const Server& server : servers_) out << server.alive << server.told << '{' << server.queue_state->text() << '}';
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

std::size_t World::index_of(std::size_t server, QueueState::WaiterId id) const {
  for (std::size_t c = 0; c < clients_.size(); ++c) {
    if (scene_.clients[c].server == server && clients_[c].id == id) return c;
  }
  return 0;
}

void World::change(const std::vector<std::pair<std::string, std::string>>& puts,
                   const std::vector<std::string>& erased) {
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

void World::end_session() {
  std::vector<std::string> entries;
  for (const auto& [key, entry] : entries_) {
    if (entry.value.find("@A") != std::string::npos) entries.push_back(key);
  }
  if (!entries.empty()) erase(entries);
}

void World::begin_wait(std::size_t c) {
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

bool World::may_count_on_its_entry(std::size_t c) const {
  if (clients_[c].has_kept_entry) return servers_[scene_.clients[c].server].queue_state->kept() > 0;
  return scene_.lost_answers == 0 && !clients_[c].kept;
}

std::string World::entry_of(const std::string& name, const std::string& queue) const {
  auto last = entries_.end();
  for (auto one = entries_.begin(); one != entries_.end(); ++one) {
    bool is_its_own = one->first.starts_with(queue) && one->second.value.starts_with(name + "@");
    if (is_its_own && (last == entries_.end() || one->second.created > last->second.created)) last = one;
  }
  return last == entries_.end() ? std::string() : last->first;
}

bool World::is_busy(std::size_t c) const {
  return std::ranges::any_of(ops_, [&](const Op& op) {
    return op.server == scene_.clients[c].server && op.waiter == clients_[c].id && (op.kind == 'j' || op.kind == 't');
  });
}

void World::cut(std::size_t c) {
  clients_[c].state = ClientState::away;
  if (!is_busy(c)) keep(c);
}

void World::keep(std::size_t c) {
  std::size_t s = scene_.clients[c].server;
  clients_[c].kept = true;
  std::size_t before = servers_[s].queue_state->kept();
  servers_[s].queue_state->keep(clients_[c].id, kKept);
  clients_[c].has_kept_entry = servers_[s].queue_state->kept() > before;
  carry_out(s);
}

void World::give_up(std::size_t c) {
  const Scene::Client& client = scene_.clients[c];
  std::vector<std::string> locks;
  for (const QueuePart& part : client.waits_for) locks.push_back(part.lock);
  servers_[client.server].queue_state->give_up(locks, client.name);
  if (clients_[c].kept) clients_[c].state = ClientState::gone;
  carry_out(client.server);
}

void World::leave(std::size_t c) {
  clients_[c].state = ClientState::gone;
  std::size_t s = scene_.clients[c].server;
  // The coroutine first finishes what it has begun.
  if (is_busy(c)) return;
  servers_[s].queue_state->left(clients_[c].id);
  carry_out(s);
}

}  // namespace sharedlock::scenes
