#include "load/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace sharedlock::bench {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const Requests kRequests({.host = "lock.example:8080", .name = "run-7", .path = "/constant", .ttl_seconds = 90});

std::string written(Call call, std::uint64_t number = 0, std::string_view lease = {}) {
  std::string out;
  kRequests.write(call, number, lease, out);
  return out;
}

TEST(BenchWorkload, EveryWorkloadHasAName) {
  for (Workload workload : {Workload::grants, Workload::refusals, Workload::lock_refusals, Workload::keepalives,
                            Workload::acquire, Workload::acquire_release, Workload::mixed, Workload::constant}) {
    EXPECT_EQ(workload_named(name_of(workload)), workload);
    EXPECT_THAT(std::string(all_workloads()), HasSubstr(std::string(name_of(workload))));
    EXPECT_FALSE(calls_of(workload).empty());
  }
  EXPECT_EQ(workload_named("grant"), std::nullopt);
}

TEST(BenchWorkload, WritesAGrant) {
  EXPECT_EQ(written(Call::grant, 42),
            "POST /lease HTTP/1.1\r\nHost: lock.example:8080\r\nx-lease-ttl: 90s\r\nContent-Length: 47\r\n\r\n"
            R"({"key":"run-7-g00000000000042","value":"bench"})");
}

TEST(BenchWorkload, WritesTheLockApi) {
  std::string acquire = written(Call::acquire, 7);
  EXPECT_THAT(acquire, StartsWith("POST /v1/bench/lock/run-7-00000000000007/acquire HTTP/1.1\r\n"));
  EXPECT_THAT(acquire, EndsWith("\r\n\r\n"
                                R"({"instanceId":"run-7-me","leaseDuration":90})"));
  EXPECT_THAT(written(Call::release, 7), StartsWith("POST /v1/bench/lock/run-7-00000000000007/release HTTP/1.1\r\n"));
  EXPECT_THAT(written(Call::hold_lock), HasSubstr("run-7-holder"));
  EXPECT_THAT(written(Call::lock_refusal), HasSubstr("run-7-me"));
}

TEST(BenchWorkload, WritesAKeepaliveOfAnyLease) {
  EXPECT_EQ(written(Call::keepalive, 0, "7"),
            "POST /keepalive HTTP/1.1\r\nHost: lock.example:8080\r\nContent-Length: 1\r\n\r\n7");
  EXPECT_THAT(written(Call::keepalive, 0, "1530347234591243342"),
              EndsWith("Content-Length: 19\r\n\r\n1530347234591243342"));
}

TEST(BenchWorkload, WritesAGet) {
  EXPECT_EQ(written(Call::constant), "GET /constant HTTP/1.1\r\nHost: lock.example:8080\r\n\r\n");
}

TEST(BenchWorkload, ContentLengthsAreThoseOfTheBodies) {
  for (Call call : {Call::grant, Call::refusal, Call::hold_key, Call::take_lease, Call::acquire, Call::release,
                    Call::hold_lock, Call::lock_refusal}) {
    std::string request = written(call, 99'999'999'999'999);
    std::size_t body = request.find("\r\n\r\n") + 4;
    EXPECT_THAT(request, HasSubstr("Content-Length: " + std::to_string(request.size() - body) + "\r\n"));
  }
}

TEST(BenchWorkload, DifferentNumbersAreDifferentRequests) {
  for (Call call : {Call::grant, Call::refusal, Call::take_lease, Call::acquire, Call::release}) {
    std::set<std::string> all;
    for (std::uint64_t number : {0U, 1U, 9U, 10U, 1234567U}) all.insert(written(call, number));
    EXPECT_EQ(all.size(), 5U);
  }
  EXPECT_NE(written(Call::grant, 1), written(Call::refusal, 1)) << "a fresh key is none of the held ones";
  EXPECT_EQ(written(Call::hold_key, 1), written(Call::refusal, 1)) << "what is held is what is refused";
}

TEST(BenchWorkload, KnowsWhichAnswersAreTheExpectedOnes) {
  EXPECT_TRUE(is_expected(Call::grant, 201));
  EXPECT_FALSE(is_expected(Call::grant, 202)) << "somebody has a key that is fresh";
  EXPECT_TRUE(is_expected(Call::refusal, 202));
  EXPECT_FALSE(is_expected(Call::refusal, 201)) << "the held key is held no more";
  EXPECT_FALSE(is_expected(Call::keepalive, 204));
  EXPECT_FALSE(is_expected(Call::acquire, 423));
  EXPECT_TRUE(is_expected(Call::lock_refusal, 423));
  EXPECT_TRUE(is_expected(Call::hold_key, 202)) << "held is held";
  for (Call call : {Call::grant, Call::refusal, Call::keepalive, Call::acquire, Call::release, Call::constant}) {
    EXPECT_FALSE(is_expected(call, 500));
    EXPECT_FALSE(is_expected(call, 404));
  }
}

// Each acquire of the mix is released again, and a release follows one.
TEST(BenchWorkload, TheMixReleasesWhatItAcquires) {
  auto calls = calls_of(Workload::mixed);
  EXPECT_EQ(std::ranges::count(calls, Call::acquire), std::ranges::count(calls, Call::release));
  EXPECT_LT(std::ranges::find(calls, Call::acquire), std::ranges::find(calls, Call::release));
}

}  // namespace
}  // namespace sharedlock::bench
