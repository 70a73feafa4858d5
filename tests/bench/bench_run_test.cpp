#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "api/api_test.h"
#include "bench/canned_server.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using Arguments = std::vector<std::string>;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Ended run_bench(const std::string& url, Arguments more) {
  more.insert(more.begin(), {"bench", "--url", url});
  return run_program({.arguments = more});
}

struct Measured {
  int exit_code;
  boost::json::object json;

  std::int64_t number(std::string_view name) const { return json.at(name).as_int64(); }
  std::int64_t failures(std::string_view kind) const { return json.at("failures").at(kind).as_int64(); }
  std::int64_t status(std::string_view status) const {
    const auto* count = json.at("statuses").as_object().if_contains(status);
    return count ? count->as_int64() : 0;
  }
  std::int64_t all_statuses() const {
    std::int64_t sum = 0;
    for (const auto& entry : json.at("statuses").as_object()) sum += entry.value().as_int64();
    return sum;
  }
  double latency(std::string_view which) const { return json.at("latency_us").at(which).to_number<double>(); }
};

Measured measure(const std::string& url, Arguments more) {
  more.emplace_back("--json");
  Ended ended = run_bench(url, more);
  if (ended.out.empty()) throw std::runtime_error("no JSON, but: " + ended.err);
  return {ended.exit_code, object_of(ended.out)};
}

Measured measure_canned(const CannedServer& server, const std::string& requests, const Arguments& more = {}) {
  Arguments all{"--workload", "constant", "--connections", "1", "--requests", requests};
  all.insert(all.end(), more.begin(), more.end());
  return measure(server.url(), all);
}

class BenchRun : public OnServer<OpenMemory> {
 protected:
  static std::string url() { return "http://127.0.0.1:" + std::to_string(server().port()); }

  static Measured run_workload(const std::string& workload, const Arguments& more = {}) {
    Arguments all{"--workload", workload, "--connections", "6", "--threads", "2"};
    all.insert(all.end(), more.begin(), more.end());
    return measure(url(), all);
  }

  double metric(const std::string& series) {
    std::string text = ask("GET", "/metrics").body;
    std::size_t line = text.find("\n" + series + " ");
    return line == std::string::npos ? -1 : std::stod(text.substr(line + series.size() + 2));
  }
  double granted() { return metric("shared_lock_lease_operations_total{operation=\"get\",status=\"created\"}"); }
  double refused() { return metric("shared_lock_lease_operations_total{operation=\"get\",status=\"accepted\"}"); }
};

// The exact number of requests, each answered as it was meant to be.
void expect_all(const Measured& run, std::string_view status, std::int64_t requests) {
  EXPECT_EQ(run.exit_code, 0) << boost::json::serialize(run.json);
  EXPECT_EQ(run.number("requests"), requests);
  EXPECT_EQ(run.status(status), requests);
  EXPECT_EQ(run.all_statuses(), requests);
  EXPECT_EQ(run.number("unexpected"), 0);
  EXPECT_EQ(run.number("not_sent"), 0);
  for (const auto& kind : run.json.at("failures").as_object()) EXPECT_EQ(kind.value(), 0) << kind.key();
  EXPECT_GT(run.latency("p50"), 0);
  EXPECT_LE(run.latency("p50"), run.latency("p99.9"));
  EXPECT_LE(run.latency("p99.9"), run.latency("max"));
}

TEST_F(BenchRun, GrantsAreGranted) {
  double before = granted();
  expect_all(run_workload("grants", {"--requests", "301"}), "201", 301);
  EXPECT_EQ(granted() - before, 301) << "the server has seen them too";
}

TEST_F(BenchRun, RefusalsAreRefused) {
  double before = refused();
  Measured run = run_workload("refusals", {"--requests", "300", "--keys", "20"});
  expect_all(run, "202", 300);
  EXPECT_EQ(run.number("prepared"), 20);
  EXPECT_EQ(refused() - before, 300);
}

TEST_F(BenchRun, LockRefusalsAreRefused) {
  expect_all(run_workload("lock-refusals", {"--requests", "300"}), "423", 300);
}

TEST_F(BenchRun, KeepalivesAreOfLiveLeases) {
  double before = metric("shared_lock_lease_operations_total{operation=\"prolong\",status=\"success\"}");
  expect_all(run_workload("keepalives", {"--requests", "300"}), "200", 300);
  EXPECT_EQ(metric("shared_lock_lease_operations_total{operation=\"prolong\",status=\"success\"}") - before, 300);
}

TEST_F(BenchRun, AcquiredLocksStayHeld) {
  expect_all(run_workload("acquire", {"--requests", "40", "--name", "stay"}), "200", 40);
  for (const char* first : {"stay-00000000000000", "stay-01000000000000"}) {  // of either thread
    EXPECT_THAT(ask("GET", std::string("/v1/bench/lock/") + first).body, HasSubstr("expiry")) << first;
  }
}

TEST_F(BenchRun, PairsLeaveNothingHeld) {
  Measured run =
      measure(url(), {"--workload", "acquire-release", "--requests", "120", "--name", "pairs", "--connections", "1"});
  expect_all(run, "200", 120);
  for (const char* lock : {"pairs-00000000000000", "pairs-00000000000007", "pairs-00000000000050"}) {
    EXPECT_EQ(ask("GET", std::string("/v1/bench/lock/") + lock).body.find("expiry"), std::string::npos) << lock;
  }
}

TEST_F(BenchRun, TheMixIsAsDescribed) {
  Measured run = run_workload("mixed", {"--requests", "600"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.all_statuses(), 600);
  // Connections end at different places in their turn.
  EXPECT_NEAR(static_cast<double>(run.status("200")), 360, 60);
  EXPECT_NEAR(static_cast<double>(run.status("202")), 120, 40);
  EXPECT_NEAR(static_cast<double>(run.status("201")), 60, 30);
  EXPECT_NEAR(static_cast<double>(run.status("423")), 60, 30);
}

TEST_F(BenchRun, AConstantMayBeAnyPage) {
  expect_all(run_workload("constant", {"--requests", "300", "--path", "/health"}), "200", 300);
}

TEST_F(BenchRun, ARunMayBeLimitedByTime) {
  Measured run = run_workload("mixed", {"--seconds", "0.4", "--warmup", "0.1"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_GT(run.number("requests"), 0);
  EXPECT_EQ(run.all_statuses(), run.number("requests"));
  EXPECT_GE(run.number("answers"), run.number("requests")) << "those of the warm-up";
  EXPECT_NEAR(run.json.at("seconds").to_number<double>(), 0.4, 0.001);
}

// So few that even a busy machine sends them all; one that was not sent in time would be counted.
TEST_F(BenchRun, AScheduleHasAllItsRequests) {
  Measured run = run_workload("keepalives", {"--seconds", "1", "--warmup", "0", "--rate", "20"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.number("requests") + run.number("not_sent"), 20);
  EXPECT_EQ(run.all_statuses(), run.number("requests"));
}

// A pseudo terminal: programs take it for a real one.
class Terminal {
 public:
  Terminal() {
    if (::openpty(&ours_, &theirs_, nullptr, nullptr, nullptr) != 0) throw std::runtime_error("no terminal");
    ::fcntl(ours_, F_SETFL, O_NONBLOCK);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    ::close(ours_);
    ::close(theirs_);
  }

  int for_a_program() const { return theirs_; }
  // Everything shown so far; written output arrives a little later.
  const std::string& shown() {
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(ours_, piece, sizeof piece)) > 0;)
      shown_.append(piece, static_cast<std::size_t>(got));
    return shown_;
  }

 private:
  std::string shown_;
  int ours_ = -1;
  int theirs_ = -1;
};

TEST_F(BenchRun, ATerminalShowsItsProgress) {
  Terminal terminal;
  Arguments arguments{"bench", "--url", url(), "--workload", "keepalives", "--seconds", "1.2", "--warmup", "0"};
  Process process({.arguments = arguments, .stderr_to = terminal.for_a_program()});
  EXPECT_EQ(process.wait(), 0);
  EXPECT_TRUE(eventually([&] { return terminal.shown().ends_with("/s\r\x1b[K"); })) << "the line is gone at the end";
  EXPECT_THAT(terminal.shown(), StartsWith("\r\x1b[K"));
  EXPECT_THAT(terminal.shown(), HasSubstr(" s   "));
  EXPECT_THAT(terminal.shown(), HasSubstr(" answers   "));
  EXPECT_THAT(process.out(), StartsWith("keepalives on "));
}

TEST_F(BenchRun, AnInterruptPrintsWhatWasMeasured) {
  double before = granted();
  Process process(
      {.arguments = {"bench", "--url", url(), "--workload", "grants", "--seconds", "600", "--warmup", "0", "--json"}});
  ASSERT_TRUE(eventually([&] { return granted() > before; }));
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 0);
  auto json = object_of(process.out());
  EXPECT_EQ(json.at("interrupted"), true);
  EXPECT_GT(json.at("requests").as_int64(), 0);
  EXPECT_EQ(json.at("failures").at("timeout"), 0) << "cut off by us";
}

TEST_F(BenchRun, TheDefaultOutputIsText) {
  Ended ended = run_bench(url(), {"--workload", "refusals", "--requests", "50"});
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.out, AllOf(StartsWith("refusals on " + url()), HasSubstr("\nlatency     p50 "),
                               HasSubstr("\nanswers     202: 50\n"), HasSubstr("\nserver CPU  ")));
  EXPECT_EQ(ended.err, "") << "no progress where nobody looks";
}

TEST(BenchCommand, FlagsWithoutAUsableValueAreExitCode64) {
  for (const Arguments& flags : {Arguments{"--workload", "everything"},
                                 {"--connections", "0"},
                                 {"--connections", "many"},
                                 {"--seconds", "-1"},
                                 {"--rate", "0"},
                                 {"--url", "localhost:8080"},
                                 {"--requests", "5", "--seconds", "5"},
                                 {"--no-such-flag"}}) {
    Arguments all{"bench"};
    all.insert(all.end(), flags.begin(), flags.end());
    Ended ended = run_program({.arguments = all});
    EXPECT_EQ(ended.exit_code, 64) << flags.front();
    EXPECT_THAT(ended.err, HasSubstr(flags.front()));
    EXPECT_EQ(ended.out, "");
  }
}

TEST(BenchCommand, WithoutAServerItSaysSo) {
  std::string url = CannedServer([](std::size_t) { return CannedAnswer{}; }).url();  // gone again
  Ended ended = run_bench(url, {"--requests", "1"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.err, "shared-lock: bench: " + url + ": can't connect: Connection refused\n");
  EXPECT_EQ(ended.out, "");
}

TEST(BenchCanned, AnotherStatusIsExitCode1) {
  CannedServer server([](std::size_t request) {
    return CannedAnswer{request % 4 == 3 ? "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
                                         : std::string(kOk)};
  });
  Measured run = measure_canned(server, "100");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.number("unexpected"), run.status("503"));
  EXPECT_EQ(run.status("503"), 25);
  EXPECT_EQ(run.all_statuses(), 100);
}

TEST(BenchCanned, AFailedPreparationIsReported) {
  CannedServer server([](std::size_t) { return CannedAnswer{std::string(kOk)}; });
  Ended ended = run_bench(server.url(), {"--workload", "lock-refusals", "--requests", "1", "--timeout", "0.1"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no answer in time"));
}

TEST(BenchCanned, AConnectionThatEndsIsCountedAndMadeAgain) {
  CannedServer server([](std::size_t request) {
    return request % 5 == 4 ? CannedAnswer{"HTTP/1.1 200 OK\r\nContent-", true} : CannedAnswer{std::string(kOk)};
  });
  Measured run = measure_canned(server, "20");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.failures("closed"), 4);
  EXPECT_EQ(run.status("200"), 16);
}

TEST(BenchCanned, AServerMayEndAConnectionAfterAnAnswer) {
  CannedServer server([](std::size_t) {
    return CannedAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true};
  });
  Measured run = measure_canned(server, "20");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.status("200"), 20);
}

TEST(BenchCanned, AnswersThatAreNotHttpAreCounted) {
  CannedServer server([](std::size_t) { return CannedAnswer{"220 mail.example ESMTP\r\n\r\n", true}; });
  Measured run = measure_canned(server, "3");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.failures("malformed"), 3);
}

TEST(BenchCanned, ASilentServerIsNotWaitedForForever) {
  CannedServer server([](std::size_t) { return CannedAnswer{}; });
  Measured run = measure_canned(server, "2", {"--timeout", "0.2"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.failures("timeout"), 2);
  EXPECT_EQ(run.number("requests"), 0);
}

// If these were left out, a server that answers every tenth request never would look quick.
TEST(BenchCanned, AnAbandonedRequestCountsWithAtLeastTheTimeout) {
  CannedServer server([](std::size_t request) { return CannedAnswer{request % 10 == 9 ? "" : std::string(kOk)}; });
  Measured run = measure_canned(server, "40", {"--rate", "200", "--timeout", "0.3"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.failures("timeout"), 4);
  EXPECT_EQ(run.number("requests"), 36) << "what was answered";
  EXPECT_GE(run.latency("max"), 290'000);
  EXPECT_GE(run.latency("p99"), 290'000);
}

TEST(BenchCanned, FarBehindItsScheduleIsExitCode1) {
  CannedServer server([](std::size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // real time: a server that is too slow
    return CannedAnswer{std::string(kOk)};
  });
  Ended ended = run_bench(server.url(), {"--workload", "constant", "--connections", "1", "--rate", "1000", "--seconds",
                                         "0.3", "--warmup", "0"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("more than 5 % of the requests that were due were not sent"));
}

// One stall of 300 ms. In a closed loop only the request that it hits is slow; by the schedule, so is every request
// that was due meanwhile.
TEST(BenchCanned, AStallShowsInAllRequestsThatWereDue) {
  CannedServer server([](std::size_t request) {
    if (request == 50) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // real time: the stall to be measured
    }
    return CannedAnswer{std::string(kOk)};
  });
  Measured run = measure_canned(server, "500", {"--rate", "1000"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.status("200"), 500);
  EXPECT_GE(run.latency("max"), 290'000);
  EXPECT_GE(run.latency("p90"), 150'000) << "300 of 500 were due meanwhile";
}

}  // namespace
}  // namespace sharedlock::test
