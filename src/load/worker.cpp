#include "load/worker.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <limits>
#include <span>
#include <system_error>

#include "base/random.h"

namespace sharedlock::bench {

namespace {

using std::chrono::nanoseconds;

// How often timeouts are checked and lost connections remade.
constexpr std::chrono::milliseconds kTick{50};
constexpr std::uint64_t kNumbersPerThread = 1'000'000'000'000;

// One worker's share when `all` is dealt evenly.
std::uint64_t part_of(std::uint64_t all, unsigned index, unsigned count) {
  return all / count + (index < all % count ? 1 : 0);
}

nanoseconds thread_cpu() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

bool uses(Workload workload, Call call) {
  return std::ranges::find(calls_of(workload), call) != calls_of(workload).end();
}

}  // namespace

Worker::Worker(Plan& plan, unsigned index)
    : plan_(plan),
      index_(index),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      needs_lease_(uses(plan.options.workload, Call::keepalive)),
      schedule_({}, plan.options.rate.value_or(1), index, plan.options.threads),
      budget_(std::numeric_limits<std::uint64_t>::max()),
      fresh_(index * kNumbersPerThread),
      random_(random_bits() | 1) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  const BenchOptions& options = plan.options;
  if (options.count) budget_ = part_of(*options.count, index, options.threads);
  std::uint64_t count = part_of(options.connections, index, options.threads);
  for (std::uint64_t i = 0; i < count; ++i) {
    connections_.push_back(std::make_unique<Connection>(static_cast<std::uint32_t>(i)));
    connections_.back()->step = i;  // so that a mix is mixed from the start
  }
  if (calls_of(options.workload).size() == 2) {
    for (auto& connection : connections_) connection->step = 0;  // pairs begin with their first half
  }
}

Worker::~Worker() {
  connections_.clear();
  ::close(epoll_);
}

void Worker::prepare() {
  now_ = last_usable_ = std::chrono::steady_clock::now();
  for (auto& connection : connections_) open(*connection);
  while (prepared_ < connections_.size() && failure_.empty() && !plan_.stop) turn();
}

void Worker::run(const Window& window) {
  phase_ = Phase::running;
  window_ = window;
  schedule_ = RateSchedule(window.start, plan_.options.rate.value_or(1), index_, plan_.options.threads);
  now_ = last_usable_ = last_answer_ = std::chrono::steady_clock::now();
  nanoseconds cpu_before = thread_cpu();
  for (auto& connection : connections_) {
    if (connection->state() == Connection::State::idle) begin(*connection);
  }
  while (!sending_is_over()) turn();
  TimePoint stopped = std::min(now_, window_.end);
  TimePoint give_up = now_ + as_duration(plan_.options.timeout_seconds);
  while (waiting_ > 0 && now_ < give_up && !(plan_.stop && now_ - stopped > std::chrono::seconds(1))) turn();

  if (!plan_.stop) {
    tally_.failures.timeout += waiting_;
    for (auto& connection : connections_) {
      if (connection->state() == Connection::State::waiting) record_unanswered(*connection);
    }
  }
  count_what_was_not_sent(stopped);
  if (window_.end == TimePoint::max()) stopped = last_answer_;
  tally_.elapsed = std::max(nanoseconds(0), nanoseconds(stopped - window_.measured));
  tally_.cpu = thread_cpu() - cpu_before;
}

bool Worker::sending_is_over() const {
  return plan_.stop.load(std::memory_order_relaxed) || budget_ == 0 || now_ >= window_.end || !failure_.empty();
}

// They have waited nevertheless: leaving them out would hide a server that stood still.
void Worker::count_what_was_not_sent(TimePoint now) {
  if (!plan_.options.rate) return;
  for (; budget_ > 0 && schedule_.at(scheduled_) < now; ++scheduled_, --budget_) {
    if (schedule_.at(scheduled_) < window_.measured) continue;  // interrupted at once
    tally_.latency.record(now_ - schedule_.at(scheduled_));
    ++tally_.not_sent;
  }
}

void Worker::turn() {
  std::array<epoll_event, 256> events;
  nanoseconds wait = patience();
  timespec limit{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
  int count = ::epoll_pwait2(epoll_, events.data(), events.size(), &limit, nullptr);
  now_ = std::chrono::steady_clock::now();
  for (const epoll_event& event : std::span(events).first(count < 0 ? 0 : static_cast<std::size_t>(count))) {
    handle(*connections_[event.data.u32], event.events);
  }
  if (plan_.options.rate && phase_ == Phase::running) send_what_is_due();
  if (now_ >= next_tick_) tick();
  done_.store(tally_.answers, std::memory_order_relaxed);
}

nanoseconds Worker::patience() const {
  TimePoint until = std::min(next_tick_, now_ + kTick);
  if (plan_.options.rate && phase_ == Phase::running && !idle_.empty()) {
    until = std::min(until, schedule_.at(scheduled_));
  }
  return std::max(nanoseconds(0), nanoseconds(until - now_));
}

void Worker::handle(Connection& connection, std::uint32_t events) {
  using Outcome = Connection::Outcome;
  if (connection.state() == Connection::State::closed) return;
  if (connection.state() == Connection::State::connecting) {
    connection.finish_connecting();
    if (connection.state() == Connection::State::idle) return begin(connection);
    return failed(connection, &Failures::connect, "can't connect");
  }
  if ((events & EPOLLOUT) != 0 && connection.send_rest() == Outcome::ended) {
    return failed(connection, &Failures::closed, "the connection was closed");
  }
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
  bool was_idle = connection.state() == Connection::State::idle;
  switch (connection.receive((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) {
    case Outcome::more:
      return;
    case Outcome::answered:
      return answered(connection);
    case Outcome::malformed:
      return failed(connection, &Failures::malformed, "an answer is not HTTP/1.1 with a Content-Length");
    case Outcome::ended:
      // A server may close an idle connection.
      if (was_idle) return open(connection);
      return failed(connection, &Failures::closed, "the connection was closed before the answer came");
  }
}

void Worker::tick() {
  next_tick_ = now_ + kTick;
  nanoseconds timeout = as_duration(plan_.options.timeout_seconds);
  for (auto& connection : connections_) {
    switch (connection->state()) {
      case Connection::State::closed:
        if (phase_ == Phase::preparing || !sending_is_over()) open(*connection);
        break;
      case Connection::State::connecting:
        break;
      case Connection::State::idle:
        last_usable_ = now_;
        break;
      case Connection::State::waiting:
        last_usable_ = now_;
        if (now_ - connection->request.sent > timeout) failed(*connection, &Failures::timeout, "no answer in time");
        break;
    }
  }
  if (now_ - last_usable_ > timeout && failure_.empty()) failure_ = "no connection to the server for too long";
}

void Worker::open(Connection& connection) {
  if (!connection.open(plan_.server, epoll_)) failed(connection, &Failures::connect, "can't connect");
}

// The connection is idle: sends its next request.
void Worker::begin(Connection& connection) {
  if (phase_ == Phase::preparing) return prepare_next(connection);
  if (needs_lease_ && connection.lease.empty()) return send(connection, Call::take_lease, now_);
  if (sending_is_over()) return;
  if (plan_.options.rate) {
    idle_.push_back(connection.tag());
  } else {
    --budget_;
    send(connection, next_call(connection), now_);
  }
}

void Worker::prepare_next(Connection& connection) {
  const BenchOptions& options = plan_.options;
  if (uses(options.workload, Call::lock_refusal) && !plan_.lock_held.exchange(true)) {
    return send(connection, Call::hold_lock, now_);
  }
  if (uses(options.workload, Call::refusal) && plan_.held_keys < options.keys) {
    connection.request.number = plan_.held_keys.fetch_add(1);
    if (connection.request.number < options.keys) return send(connection, Call::hold_key, now_);
  }
  if (needs_lease_ && connection.lease.empty()) return send(connection, Call::take_lease, now_);
  if (!connection.prepared) ++prepared_;
  connection.prepared = true;
}

void Worker::send_what_is_due() {
  // Requests that the warm-up could not send are no load for the measured time.
  if (now_ >= window_.measured) {
    while (schedule_.at(scheduled_) < window_.measured) ++scheduled_;
  }
  while (!idle_.empty() && !sending_is_over() && schedule_.at(scheduled_) <= now_) {
    Connection& connection = *connections_[idle_.back()];
    idle_.pop_back();
    if (connection.state() != Connection::State::idle) continue;
    --budget_;
    TimePoint intended = schedule_.at(scheduled_++);
    send(connection, next_call(connection), intended);
  }
}

Call Worker::next_call(Connection& connection) {
  auto calls = calls_of(plan_.options.workload);
  return calls[connection.step++ % calls.size()];
}

std::uint64_t Worker::number_for(Call call, Connection& connection) {
  switch (call) {
    case Call::grant:
    case Call::take_lease:
      return fresh_++;
    case Call::acquire:
      return connection.acquired = fresh_++;
    case Call::release:
      return connection.acquired;
    case Call::refusal:
      random_ ^= random_ << 13;
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      return random_ % plan_.options.keys;
    case Call::hold_key:
      return connection.request.number;
    case Call::keepalive:
    case Call::lock_refusal:
    case Call::hold_lock:
    case Call::constant:
      return 0;
  }
  return 0;
}

void Worker::send(Connection& connection, Call call, TimePoint intended) {
  connection.request = {call, number_for(call, connection), intended, now_};
  plan_.requests.write(call, connection.request.number, connection.lease, request_);
  ++waiting_;
  if (connection.send(request_) == Connection::Outcome::ended) {
    failed(connection, &Failures::closed, "the connection was closed");
  }
}

void Worker::answered(Connection& connection) {
  --waiting_;
  now_ = last_answer_ = std::chrono::steady_clock::now();
  ResponseReader& response = connection.response();
  const bool good = is_expected(connection.request.call, response.status());
  if (phase_ == Phase::preparing) {
    ++tally_.prepared;
    if (!good && failure_.empty())
      failure_ = "what must be held first was answered with " + std::to_string(response.status());
  } else {
    record(connection);
  }
  if (connection.request.call == Call::take_lease && good) connection.lease = response.body();
  if (connection.request.call == Call::keepalive && !good) connection.lease.clear();
  bool last = response.last_on_connection();
  response.next();
  if (last) return open(connection);
  begin(connection);
}

void Worker::record(Connection& connection) {
  ++tally_.answers;
  const auto& request = connection.request;
  const int status = connection.response().status();
  const bool good = is_expected(request.call, status);
  if (!is_measured(connection)) return;
  if (request.call == Call::take_lease && good) return;
  tally_.latency.record(now_ - request.intended);
  ++tally_.statuses[static_cast<std::size_t>(status)];
  if (!good) ++tally_.unexpected;
}

bool Worker::is_measured(const Connection& connection) const {
  TimePoint intended = connection.request.intended;
  return intended >= window_.measured && intended < window_.end;
}

// It would have taken even longer: leaving it out would make a server that answers too late look quick.
void Worker::record_unanswered(const Connection& connection) {
  if (phase_ != Phase::running || !is_measured(connection) || connection.request.call == Call::take_lease) return;
  tally_.latency.record(
      std::max(nanoseconds(now_ - connection.request.intended), as_duration(plan_.options.timeout_seconds)));
  ++tally_.unanswered;
}

void Worker::failed(Connection& connection, std::uint64_t Failures::* kind, const std::string& what) {
  std::string why = kind == &Failures::connect ? ": " + std::generic_category().message(errno) : "";
  if (connection.state() == Connection::State::waiting) --waiting_;
  if (kind == &Failures::timeout) record_unanswered(connection);
  connection.close();
  ++(tally_.failures.*kind);
  if (phase_ == Phase::preparing && failure_.empty()) failure_ = what + why;
}

}  // namespace sharedlock::bench
