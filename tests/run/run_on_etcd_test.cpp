// `shared-lock run` on two servers and an etcd of three members: commands under one lock never overlap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "run/commands.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;

class RunOnEtcd : public testing::Test {
 protected:
  // Two runners, one on each server, and so on: each with a daemon that does not hear SIGTERM.
  std::unique_ptr<Process> contend(ServiceOnEtcd& service, const std::string& id) {
    std::string text = "trap '' TERM; (setsid sh -c '" + commands.ticking(id, "end-" + id) + "' &); " +
                       commands.ticking(id, "end-" + id);
    return std::make_unique<Process>(running("http://127.0.0.1:" + std::to_string(service.server().port()),
                                             {"demo", "--ttl", "5s", "--", "/bin/sh", "-c", text}));
  }
  bool begins(const std::string& id) {
    return eventually([&] { return commands.has_ticks_of(id); }, seconds(40));
  }

  EtcdServer etcd{{.members = 3}};
  Commands commands;
};

TEST_F(RunOnEtcd, CommandsNeverOverlap) {
  ServiceOnEtcd one(etcd);
  std::optional<ServiceOnEtcd> two(etcd);
  ASSERT_TRUE(one.becomes_ready() && two->becomes_ready());

  // A leader is killed: the holder keeps the lock.
  auto a = contend(one, "a");
  ASSERT_TRUE(begins("a")) << a->err();
  auto b = contend(*two, "b");
  std::size_t leader = etcd.leader();
  etcd.member(leader).kill();
  double killed_at = Commands::now();
  EXPECT_TRUE(eventually([&] { return commands.last_tick("a") > killed_at + 6; }, seconds(20))) << a->err();
  EXPECT_FALSE(commands.has_ticks_of("b"));
  etcd.member(leader).start();

  // The runner that holds the lock is stopped: the other one's turn, on the other server.
  a->stop();
  ASSERT_TRUE(begins("b")) << b->err();
  auto c = contend(one, "c");
  a->resume();
  EXPECT_EQ(a->wait(), 76) << a->err();

  // The server of the one that holds it is killed.
  two->process().signal(SIGKILL);
  two->process().wait();
  EXPECT_EQ(b->wait(), 76) << b->err();
  ASSERT_TRUE(begins("c")) << c->err();

  // The runner that holds it is killed while the leader is.
  two.emplace(etcd);
  ASSERT_TRUE(two->becomes_ready());
  auto d = contend(*two, "d");
  etcd.member(etcd.leader()).kill();
  c->signal(SIGKILL);
  ASSERT_TRUE(begins("d")) << d->err();
  commands.create("end-d");
  EXPECT_EQ(d->wait(), 0) << d->err();
  EXPECT_EQ(commands.overlap(), "") << commands.text("ticks");
}

}  // namespace
}  // namespace sharedlock::test
