#include "cli/signal_orders.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace sharedlock {

namespace {

constexpr std::int64_t kForAllWithin = 100'000'000;  // a service manager needs less for all processes of a service
// When the runner is slow to report that it got the same signal. A command's remaining processes can't be brought back:
// so the guard waits this long before it ends them.
constexpr std::int64_t kHeardFor = 1'000'000'000;

// Other signals may be meant for something else: some service managers send SIGHUP right behind SIGTERM.
bool asks_to_end(std::int32_t number) {
  return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

}  // namespace

std::int32_t sender_of(const signalfd_siginfo& info) {
  if (info.ssi_code != SI_USER && info.ssi_code != SI_QUEUE) return kKernel;
  return info.ssi_pid == 0 ? kOutside : static_cast<std::int32_t>(info.ssi_pid);
}

void SignalOrders::got(Signal signal, std::int64_t now) {
  got_.push_back({.signal = signal, .until = now + kHeardFor});
}

void SignalOrders::forget_unless(const std::function<bool(std::int32_t number)>& command_has) {
  std::erase_if(got_, [&](const Got& got) { return !command_has(got.signal.number); });
}

void SignalOrders::ordered(Signal signal, bool may_be_for_all, std::int64_t now) {
  bool asks = asks_to_end(signal.number);
  bool is_second = asks && asked_to_end_;
  bool is_of_the_end = ended_the_command(signal.number, now) && !asked_to_end_;
  asked_to_end_ = asked_to_end_ || asks;
  if (!ended_) {
    std::int64_t due = may_be_for_all ? now + kForAllWithin : now;
    ordered_.push_back({.signal = signal, .may_be_for_all = may_be_for_all, .ends_rest = false, .due = due});
    return;
  }
  // The one that ended the command, on its way through the runner.
  if (is_of_the_end) return;
  bool for_all = !is_second && signal.sender != kKernel;
  std::int64_t due = for_all ? now + kHeardFor : now;
  ordered_.push_back({.signal = signal, .may_be_for_all = for_all, .ends_rest = true, .due = due});
}

void SignalOrders::command_ended(std::int32_t by, std::int64_t now) {
  ended_ = true;
  ended_by_ = by;
  ended_at_ = now;
}

std::vector<SignalOrders::Due> SignalOrders::due(std::int64_t now) {
  std::vector<Due> decided;
  std::erase_if(got_, [now](const Got& got) { return got.until <= now; });
  std::erase_if(ordered_, [&](const Ordered& ordered) {
    bool for_all = ordered.may_be_for_all && take_same(ordered.signal);
    if (!for_all && ordered.due > now) return false;
    decided.push_back(
        {.number = ordered.signal.number, .for_all = for_all, .ends_rest = ordered.ends_rest && !for_all});
    return true;
  });
  return decided;
}

bool SignalOrders::take_same(Signal signal) {
  auto got = std::ranges::find_if(got_, [signal](const Got& one) {
    return one.signal.number == signal.number && one.signal.sender == signal.sender;
  });
  if (got == got_.end()) return false;
  got_.erase(got);
  return true;
}

bool SignalOrders::ended_the_command(std::int32_t number, std::int64_t now) const {
  return ended_ && ended_by_ == number && now <= ended_at_ + kHeardFor;
}

}  // namespace sharedlock
