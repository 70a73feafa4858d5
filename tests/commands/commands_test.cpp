// `shared-lock acquire`, `get` and so on, against a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "support/eventually.h"
#include "support/server_process.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::IsEmpty;

class CommandsTest : public testing::Test {
 protected:
  // The words of one command line, separated by spaces.
  ProcessOptions line(const std::string& words) const {
    ProcessOptions options{.environment = environment};
    std::istringstream in(words);
    for (std::string word; in >> word;) options.arguments.push_back(word);
    return options;
  }
  Ended run(const std::string& words) const { return run_program(line(words)); }
  int exit_code(const std::string& words) const { return run(words).exit_code; }
  json::object object(const std::string& words) const {
    auto ended = run(words + " --json");
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return json::parse(ended.out).as_object();
  }
  static std::string text(const json::object& object, const char* name) {
    return json::value_to<std::string>(object.at(name));
  }
  // The value on the line that begins with the name.
  static std::string value(const Ended& ended, const std::string& name) {
    std::istringstream in(ended.out);
    for (std::string word, value; in >> word && std::getline(in, value);) {
      if (word == name) return value.substr(std::min<std::size_t>(value.size(), 1));
    }
    return {};
  }

  ServerProcess server{{.environment = ServerProcess::open_memory({{"SHARED_LOCK_ADMIN_TOKEN", "the-admin"}})}};
  Environment environment{{"SHARED_LOCK_URL", "http://127.0.0.1:" + std::to_string(server.port())}};
};

TEST_F(CommandsTest, AcquirePrintsWhatRenewAndReleaseWant) {
  auto acquired = run("acquire demo --ttl 30s");
  ASSERT_EQ(acquired.exit_code, 0) << acquired.err;
  EXPECT_EQ(value(acquired, "ttl"), "30");
  std::string instance = value(acquired, "instanceId");
  EXPECT_EQ(instance.size(), 32U);

  auto renewed = run("renew demo --ttl 90 --instance " + instance);
  EXPECT_EQ(renewed.exit_code, 0) << renewed.err;
  EXPECT_EQ(value(renewed, "ttl"), "90");
  EXPECT_EQ(value(renewed, "fencingToken"), value(acquired, "fencingToken"));

  EXPECT_EQ(exit_code("release demo --instance " + instance), 0);
  EXPECT_EQ(exit_code("get demo"), 1);
  EXPECT_EQ(exit_code("release demo --instance " + instance), 0) << "nobody holds it";
  EXPECT_EQ(exit_code("renew demo --instance " + instance), 76);
}

TEST_F(CommandsTest, AGivenInstanceIsKept) {
  auto first = object("acquire demo --instance my-instance");
  auto again = object("acquire demo --instance my-instance");
  EXPECT_EQ(text(again, "instanceId"), "my-instance");
  EXPECT_GT(again.at("fencingToken").as_int64(), first.at("fencingToken").as_int64());
}

TEST_F(CommandsTest, ALockHeldByAnotherIs75Or76) {
  object("acquire demo --instance the-holder");
  auto refused = run("acquire demo");
  EXPECT_EQ(refused.exit_code, 75);
  EXPECT_EQ(refused.err, "shared-lock acquire: held by anonymous\n");
  EXPECT_THAT(refused.out, IsEmpty());
  EXPECT_EQ(exit_code("release demo --instance another-one"), 76);
  EXPECT_EQ(exit_code("renew demo --instance another-one"), 76);
}

TEST_F(CommandsTest, ErrorsAreJsonToo) {
  object("acquire demo");
  auto refused = run("acquire demo --json");
  EXPECT_EQ(refused.exit_code, 75);
  auto error = json::parse(refused.out).as_object();
  EXPECT_EQ(text(error, "error"), "held_by_another");
  EXPECT_EQ(text(error, "message"), "held by anonymous");
}

TEST_F(CommandsTest, AcquireWaitsInTheQueue) {
  object("acquire demo --instance the-holder");
  Process waiting(line("acquire demo --wait 1m"));
  ASSERT_TRUE(eventually([&] { return object("get demo").at("waiters").as_int64() == 1; }));
  object("release demo --instance the-holder");
  EXPECT_EQ(waiting.wait(), 0);
  EXPECT_THAT(waiting.out(), HasSubstr("fencingToken "));
}

TEST_F(CommandsTest, AnInterruptedAcquireLeavesTheQueue) {
  object("acquire demo --instance the-holder");
  Process waiting(line("acquire demo --wait 1m"));
  ASSERT_TRUE(eventually([&] { return object("get demo").at("waiters").as_int64() == 1; }));
  waiting.signal(SIGINT);
  EXPECT_EQ(waiting.wait(), 128 + SIGINT);
  EXPECT_TRUE(eventually([&] { return object("get demo").at("waiters").as_int64() == 0; }));
}

TEST_F(CommandsTest, SeveralLocksAreTakenTogether) {
  auto acquired = object("acquire some more --namespace elsewhere");
  auto locks = acquired.at("locks").as_array();
  ASSERT_EQ(locks.size(), 2U);
  EXPECT_EQ(text(locks[1].as_object(), "lockName"), "more");
  EXPECT_GT(locks[1].as_object().at("fencingToken").as_int64(), 0);

  EXPECT_EQ(run("acquire more yet --namespace elsewhere").err, "shared-lock acquire: held by another: more\n");
  std::string of_holder = " --namespace elsewhere --instance " + text(acquired, "instanceId");
  EXPECT_EQ(exit_code("renew some more" + of_holder), 0);
  EXPECT_EQ(exit_code("release some more" + of_holder), 0);
  EXPECT_EQ(exit_code("get more --namespace elsewhere"), 1);
}

// The text that is shown comes from other clients.
TEST_F(CommandsTest, TerminalControlSequencesAreNotPrinted) {
  auto granted =
      run("lease grant some/key --value a\xE2\x80\xAE"
          "b\xC2\x9B"
          "c");
  ASSERT_EQ(granted.exit_code, 0) << granted.err;
  EXPECT_EQ(value(run("lease get some/key"), "value"), "a?b?c");
}

TEST_F(CommandsTest, GetShowsTheHolder) {
  auto free = run("get demo");
  EXPECT_EQ(free.exit_code, 1);
  EXPECT_EQ(value(free, "held"), "false");
  EXPECT_THAT(free.out, testing::Not(HasSubstr("waiters"))) << "which of a free lock nobody says";
  auto acquired = object("acquire demo");
  auto held = object("get demo");
  EXPECT_EQ(text(held, "owner"), "anonymous");
  EXPECT_EQ(held.at("fencingToken"), acquired.at("fencingToken"));
  EXPECT_EQ(held.at("expiry"), acquired.at("expiry"));
}

TEST_F(CommandsTest, VerifyTellsTheHoldersToken) {
  std::string token = std::to_string(object("acquire demo").at("fencingToken").as_int64());
  EXPECT_EQ(exit_code("verify demo " + token), 0);
  auto other = run("verify demo 17");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(value(other, "current"), token);
}

TEST_F(CommandsTest, ForceReleaseIsForAdministrators) {
  object("acquire demo");
  EXPECT_EQ(exit_code("force-release demo"), 77);
  EXPECT_EQ(exit_code("get demo"), 0);
  environment["SHARED_LOCK_ADMIN_TOKEN"] = "the-admin";
  EXPECT_EQ(exit_code("force-release demo --reason it-hangs"), 0);
  EXPECT_EQ(exit_code("get demo"), 1);
  EXPECT_THAT(server.err(), HasSubstr("it-hangs"));
}

// As from an env file that was written on Windows, or a secret made by `echo`. The server reads its own likewise.
TEST_F(CommandsTest, LineEndsAroundVariablesDoNotCount) {
  environment["SHARED_LOCK_URL"] += "\r\n";
  environment["SHARED_LOCK_TOKEN"] = "a-token\n";
  environment["SHARED_LOCK_ADMIN_TOKEN"] = " the-admin\r\n";
  auto acquired = run("acquire demo");
  EXPECT_EQ(acquired.exit_code, 0) << acquired.err;
  EXPECT_EQ(exit_code("force-release demo"), 0);
}

TEST_F(CommandsTest, AVariableOfTwoLinesIsNamed) {
  environment["SHARED_LOCK_TOKEN"] = "a-token\nX-Admin-Token: the-admin";
  auto refused = run("acquire demo");
  EXPECT_EQ(refused.exit_code, 77);
  EXPECT_THAT(refused.err, HasSubstr("SHARED_LOCK_TOKEN must be one line without control characters"));
  EXPECT_THAT(refused.err, testing::Not(HasSubstr("a-token")));
}

TEST_F(CommandsTest, LeasesAreGrantedKeptAndReleased) {
  EXPECT_EQ(exit_code("lease get some/key"), 1);
  auto granted = object("lease grant some/key --value me --ttl 30s");
  EXPECT_EQ(granted.at("ttl"), 30);
  auto held = object("lease get some/key");
  EXPECT_EQ(text(held, "value"), "me");
  EXPECT_EQ(held.at("fencingToken"), granted.at("fencingToken"));
  EXPECT_EQ(exit_code("lease grant some/key"), 75);

  std::string id = std::to_string(granted.at("leaseId").as_int64());
  EXPECT_EQ(object("lease keepalive " + id).at("ttl"), 30);
  EXPECT_EQ(exit_code("lease release " + id), 0);
  EXPECT_EQ(exit_code("lease release " + id), 76);
  EXPECT_EQ(exit_code("lease keepalive " + id), 76);
}

TEST_F(CommandsTest, AGrantThatCannotBePrintedIsReleased) {
  auto full = [](const std::string& words) {
    return ProcessOptions{
        .program = "/bin/sh",
        .arguments = {"-c", std::string("exec ") + SHAREDLOCK_PROGRAM + ' ' + words + " > /dev/full"}};
  };
  for (std::string words : {"acquire demo", "lease grant demo"}) {
    auto options = full(words);
    options.environment = environment;
    auto ended = run_program(options);
    EXPECT_EQ(ended.exit_code, 70);
    EXPECT_THAT(ended.err, HasSubstr("No space left"));
  }
  EXPECT_EQ(exit_code("get demo"), 1);
  EXPECT_EQ(exit_code("lease get demo"), 1);
}

TEST_F(CommandsTest, InvalidArgumentsAre64) {
  for (const char* words : {"acquire",
                            "acquire x",
                            "acquire bad/name",
                            "acquire demo --ttl 0",
                            "acquire demo --ttl 25h",
                            "acquire demo --ttl soon",
                            "acquire demo --wait -1s",
                            "acquire demo --namespace x",
                            "acquire demo --instance x",
                            "acquire demo --poll 0",
                            "acquire demo --patience never",
                            "acquire demo --connect-timeout 1h",
                            "acquire demo --bogus",
                            "renew demo",
                            "release demo",
                            "get",
                            "get demo demo2",
                            "verify demo",
                            "verify demo abc",
                            "lease",
                            "lease grant",
                            "lease keepalive",
                            "lease keepalive abc",
                            "lease bogus",
                            "completion fish",
                            "bogus"}) {
    auto ended = run(words);
    EXPECT_EQ(ended.exit_code, 64) << words;
    EXPECT_THAT(ended.err, HasSubstr("--help")) << words;
    EXPECT_THAT(ended.out, IsEmpty()) << words;
  }
  EXPECT_EQ(exit_code("acquire demo --token-file /does/not/exist"), 77);
}

TEST_F(CommandsTest, ServersRefusalsAre77) {
  std::string many;
  for (int i = 0; i < 33; ++i) many += " lock-" + std::to_string(i);
  auto ended = run("acquire" + many);
  EXPECT_EQ(ended.exit_code, 77);
  EXPECT_THAT(ended.err, HasSubstr("400"));
  EXPECT_EQ(exit_code("acquire demo demo"), 77);
}

TEST_F(CommandsTest, AServerThatStandsStillIs69InTime) {
  server.process().stop();
  auto begun = std::chrono::steady_clock::now();
  Process acquiring(line("acquire demo --patience 1s"));
  Process granting(line("lease grant demo --patience 1s --wait 1s --poll 1s"));
  EXPECT_EQ(acquiring.wait(), 69);
  EXPECT_EQ(granting.wait(), 69);
  EXPECT_LE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(12));
  EXPECT_THAT(acquiring.err(), HasSubstr("could not be given back, and ends by itself within 1m0s"));
  server.process().resume();
}

TEST_F(CommandsTest, WithoutAServerItIs69) {
  environment["SHARED_LOCK_URL"] = "http://127.0.0.1:1";
  auto ended = run("get demo");
  EXPECT_EQ(ended.exit_code, 69);
  EXPECT_THAT(ended.err, HasSubstr("Connection refused"));
  EXPECT_EQ(exit_code("get demo --server http://127.0.0.1:" + std::to_string(server.port())), 1);
  EXPECT_EQ(exit_code("get demo --server nonsense"), 77);
}

}  // namespace
}  // namespace sharedlock::test
