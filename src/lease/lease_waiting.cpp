// Grants of LeaseService to requests that wait in a queue.
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "lease/lease_service.h"
#include "store/grants.h"

namespace sharedlock {

namespace {

// Of two requests of one id one may be granted, by any server, while the other joins the queue; and the entry need not
// show the id. So the waiting one looks this often: a grant of that kind shows within the time of a request.
constexpr int kLooks = 2;
constexpr std::chrono::seconds kFirstLook{1};

}  // namespace

Task<Result<LeaseService::Answer>> LeaseService::grant_in_queue(const GrantRequest& request) {
  auto tried = co_await try_to_grant(request);
  if (!tried || !std::holds_alternative<LeaseRefused>(*tried)) co_return tried;
  BootTime until = request.received + request.wait;
  auto executor = co_await asio::this_coro::executor;
  std::string instance = request.id ? std::to_string(number_of(*request.id)) : std::string();
  auto waiter = queues_.enter(executor, std::vector<std::string>(1, request.key), "", instance, request.keep_place);
  if (request.when_disconnected) request.when_disconnected(waiter.disconnect());
  int looks = request.id && store_.is_shared() ? kLooks : 0;
  BootTime look_at = clock_.boot_now() + kFirstLook;
  for (;;) {
    BootTime pause = looks > 0 ? look_at : BootTime::max();
    auto next = co_await queues_.next(waiter, until, pause);
    if (!next) co_return next.error();
    if (std::holds_alternative<WaitQueues::Pause>(*next)) {
      --looks;
      look_at += options_.request_timeout;
      auto repeated = co_await repeat(request, clock_.boot_now());
      if (repeated && *repeated) co_return **std::move(repeated);
      continue;
    }
    if (std::holds_alternative<WaitQueues::TimeUp>(*next)) {
      co_return co_await answer_as_time_is_up(request);
    }
    if (auto* end = std::get_if<WaitEnd>(&*next)) {
      Answer ended = *end;
      co_return ended;
    }
    auto answer = co_await take_turn(request, std::get<WaitQueues::Turn>(*next));
    if (!answer) co_return answer.error();
    if (*answer) co_return **std::move(answer);
  }
}

// By a look, and not by what the queue was told last: since then the store may have been away, and another request of
// the same id may have got the key.
Task<Result<LeaseService::Answer>> LeaseService::answer_as_time_is_up(const GrantRequest& request) {
  BootTime now = clock_.boot_now();
  if (request.id) {
    auto repeated = co_await repeat(request, now);
    if (!repeated) co_return repeated.error();
    if (*repeated) co_return **std::move(repeated);
  }
  auto found = co_await look_durably(store_, store_key(request.key), deadline_for(now));
  if (!found) co_return found.error();
  Answer refused = LeaseRefused{found->entry ? shown_lease(*found->entry) : std::nullopt};
  co_return refused;
}

// The lease is granted now, not when the waiter joined: so it has all of its ttl.
Task<Result<std::optional<LeaseService::Answer>>> LeaseService::take_turn(const GrantRequest& request,
                                                                          WaitQueues::Turn& turn) {
  if (turn.step() == QueueState::Step::retake) co_return co_await repeat_in_queue(request, turn);
  BootTime begun = clock_.boot_now();
  QueueState::Join join = turn.entries();
  const std::string& entry = join.entries.front();
  std::string key = part_of(request.key).lock;
  LeaseId id = request.id.value_or(random_lease_id());
  Transaction transaction;
  transaction.expect.push_back({key, kAbsent});
  transaction.expect.push_back({entry, join.expected});
  OwnLease lease{.ttl = request.ttl, .id = id, .client_chosen = request.id.has_value()};
  transaction.changes.emplace_back(Put{key, request.value, lease});
  transaction.changes.emplace_back(Erase{entry});
  Deadline deadline = deadline_for(begun);
  auto outcome = co_await store_.commit(std::move(transaction), deadline);
  auto executor = co_await asio::this_coro::executor;
  bool granted_elsewhere = !outcome && request.id && outcome.error().code == Errc::lease_in_use;
  if (granted_elsewhere) co_return co_await repeat_in_queue(request, turn);
  if (!outcome) {
    // Whether it happened is left open. A lease that no client is told of is undone, and the entry goes with the
    // waiter. A newer request of the same id that gets the entry must know of this try.
    turn.failed(outcome.error().code);
    if (!request.id && outcome_unknown(outcome.error().code)) end_in_background(executor, id, key, request.ttl);
    co_return outcome.error();
  }
  if (auto* committed = std::get_if<Committed>(&*outcome)) {
    turn.took(committed->revision);
    bool late = too_late(begun, clock_.boot_now(), request.ttl);
    if (late && !request.id) end_in_background(executor, id, key, request.ttl);
    if (late) co_return late_grant("ttl");
    FencingToken token = token_at(committed->created(), store_.token_base());
    // A repeat may already have renewed a lease with a chosen id, and that need not change the revision.
    bool undoable = !request.id;
    Answer granted = LeaseGrant{committed->lease, committed->ttl, token, committed->revision, undoable};
    co_return std::optional(granted);
  }
  auto& conflict = std::get<Conflict>(*outcome);
  const auto& stands = conflict.current[1];
  auto entries = QueueState::EntryFate::there;
  if (!stands) entries = QueueState::EntryFate::gone;
  if (stands && stands->revision != join.expected) entries = QueueState::EntryFate::taken_over;
  std::vector<WaitQueues::Turn::Seen> seen(1);
  seen[0] = {.name = request.key, .entry = conflict.current[0], .as_of = conflict.as_of, .look_again = std::nullopt};
  turn.refused(entries, seen);
  co_return std::optional<Answer>();
}

// Another request of the same id has been granted: this one is its repeat (R1), and leaves its entry behind.
Task<Result<std::optional<LeaseService::Answer>>> LeaseService::repeat_in_queue(const GrantRequest& request,
                                                                                WaitQueues::Turn& turn) {
  auto answer = co_await repeat(request, clock_.boot_now());
  if (!answer || *answer) {
    turn.leave();
    co_return answer;
  }
  // That lease has ended meanwhile, which the queue is about to learn.
  co_await queues_.rest();
  turn.refused(QueueState::EntryFate::there);
  co_return answer;
}

}  // namespace sharedlock
