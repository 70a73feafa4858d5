#include "history/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <limits>
#include <vector>

namespace sharedlock::test {

namespace {

using Kind = Operation::Kind;
using Answer = Operation::Answer;

bool is_grant(const Operation& operation) {
  return operation.answer == Answer::done && (operation.kind == Kind::acquire || operation.kind == Kind::grant);
}

}  // namespace

void Summary::add(const History& history, Span busy, std::size_t violations_in_it) {
  ++histories;
  violations += violations_in_it;
  std::vector<Moment> grants{busy.from, busy.to};
  for (const Operation& operation : history.operations) {
    ++requests;
    bool done = operation.answer == Answer::done;
    if (done && operation.kind == Kind::acquire) ++locks;
    if (done && operation.kind == Kind::grant) ++leases;
    if (done && (operation.kind == Kind::renew || operation.kind == Kind::keep_alive)) ++renewals;
    if (done && (operation.kind == Kind::release || operation.kind == Kind::give_back)) ++releases;
    if (operation.wait.count() > 0) ++(done ? waited : waited_in_vain);
    if (operation.answer == Answer::refused) ++refusals;
    if (operation.answer == Answer::none) ++unknown;
    if (operation.answer == Answer::absent && operation.kind == Kind::keep_alive) ++lost;
    if (!is_grant(operation)) continue;
    highest_token = std::max(highest_token, operation.token);
    if (operation.answered < busy.to) grants.push_back(operation.answered);
  }
  std::ranges::sort(grants);
  for (std::size_t i = 1; i < grants.size(); ++i) {
    auto gap = std::chrono::duration_cast<std::chrono::milliseconds>(grants[i] - grants[i - 1]);
    longest_without_grant = std::max(longest_without_grant, gap);
  }
}

std::int64_t Summary::lowest_grant(const History& history) {
  std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
  for (const Operation& operation : history.operations) {
    if (is_grant(operation)) lowest = std::min(lowest, operation.token);
  }
  return lowest;
}

int Summary::all_faults() const {
  int all = 0;
  for (const auto& [name, count] : faults) all += count;
  return all;
}

std::string Summary::line() const {
  return "history " + std::to_string(histories) + ": so far " + std::to_string(requests) + " requests, " +
         std::to_string(all_faults()) + " faults, " + std::to_string(violations) + " violations";
}

std::string Summary::text() const {
  std::string text = std::to_string(requests) + " requests in " + std::to_string(histories) +
                     " histories: " + std::to_string(locks) + " locks and " + std::to_string(leases) +
                     " leases granted, " + std::to_string(renewals) + " renewals, " + std::to_string(releases) +
                     " releases, " + std::to_string(refusals) + " refusals, " + std::to_string(lost) +
                     " leases called lost, " + std::to_string(waited) + " granted to who would wait in line, " +
                     std::to_string(waited_in_vain) + " not, " + std::to_string(unknown) + " outcomes unknown\n" +
                     std::to_string(all_faults()) + " faults:";
  for (const auto& [name, count] : faults) text += " " + std::to_string(count) + " " + name + ",";
  text.back() = '\n';
  return text + "longest time without a grant: " + std::to_string(longest_without_grant.count()) +
         " ms; violations: " + std::to_string(violations) + "\n";
}

void Summary::write_json(const std::string& file, std::uint64_t seed) const {
  boost::json::object by_kind;
  for (const auto& [name, count] : faults) by_kind[name] = count;
  boost::json::object all{{"seed", seed},
                          {"histories", histories},
                          {"requests", requests},
                          {"locks", locks},
                          {"leases", leases},
                          {"renewals", renewals},
                          {"releases", releases},
                          {"refusals", refusals},
                          {"lost", lost},
                          {"unknown", unknown},
                          {"waited", waited},
                          {"waitedInVain", waited_in_vain},
                          {"violations", violations}};
  all["longestWithoutGrantMs"] = longest_without_grant.count();
  all["faults"] = by_kind;
  std::ofstream(file) << boost::json::serialize(all) << '\n';
}

void Summary::expect_some_of_everything() const {
  for (std::size_t count : {locks, leases, renewals, releases, refusals, unknown, waited, waited_in_vain})
    EXPECT_GT(count, 0U);
}

std::string text_of(Moment moment) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(moment.time_since_epoch()).count());
}

std::string text_of(const Span& span) {
  return text_of(span.from) + " to " + text_of(span.to);
}

std::string text_of(const Operation& operation) {
  constexpr std::array kKinds{"acquire", "renew", "release", "look", "grant", "keep_alive", "give_back"};
  constexpr std::array kAnswers{"?", "done", "refused", "absent"};
  return text_of(Span{operation.asked, operation.answered}) + " life " + std::to_string(operation.life) + " client " +
         std::to_string(static_cast<int>(operation.client)) + "-" + std::to_string(operation.instance) + " " +
         kKinds.at(static_cast<std::size_t>(operation.kind)) + " " +
         kAnswers.at(static_cast<std::size_t>(operation.answer)) + " token " + std::to_string(operation.token) +
         " lease " + std::to_string(operation.lease) + " ttl " + std::to_string(operation.ttl.count()) + " wait " +
         std::to_string(operation.wait.count());
}

}  // namespace sharedlock::test
