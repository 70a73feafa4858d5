// A damaged data directory: the program starts with all that was acknowledged, or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "crash/data_dir_fixture.h"
#include "crash/data_directory.h"
#include "crash/wal_file.h"
#include "support/server_process.h"

namespace sharedlock::test::data_dir {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> grant_many(const ServerProcess& server, int count) {
  std::vector<std::string> leases;
  leases.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) leases.push_back(grant(server, "key-" + std::to_string(i)));
  EXPECT_THAT(leases, testing::Each(Not(IsEmpty())));
  return leases;
}

void kill9(ServerProcess& server) {
  server.process().signal(SIGKILL);
  EXPECT_EQ(server.process().wait(), 128 + SIGKILL);
}

// A directory in which a server that was killed left 50 leases.
class KilledData {
 public:
  KilledData() {
    ServerProcess server(embedded_in(data_.path()));
    leases_ = grant_many(server, 50);
    kill9(server);
  }
  const std::filesystem::path& path() const { return data_.path(); }
  const std::vector<std::string>& leases() const { return leases_; }

  void expect_all_there() const {
    ServerProcess server(embedded_in(path()));
    EXPECT_EQ(held(server, leases_), static_cast<int>(leases_.size()));
  }

 private:
  DataDirectory data_;
  std::vector<std::string> leases_;
};

TEST(DataDir, IsMadeWhenItIsMissing) {
  DataDirectory data;
  auto deep = data.path() / "a" / "b";
  ServerProcess server(embedded_in(deep));
  EXPECT_NE(grant(server, "key"), "");
  EXPECT_TRUE(std::filesystem::is_directory(deep));
  EXPECT_THAT(server.err(), HasSubstr(R"("storage":"embedded")"));
  EXPECT_EQ(server.ask("GET", "/ready").status, 200);
  EXPECT_THAT(server.ask("GET", "/metrics").body, HasSubstr("\nshared_lock_store_failed 0\n"));
}

TEST(DataDir, IsOnlyForItsOwnUser) {
  namespace fs = std::filesystem;
  constexpr fs::perms kOthers = fs::perms::group_all | fs::perms::others_all;
  DataDirectory data;
  ServerProcess server(embedded_in(data.path() / "below"));
  EXPECT_NE(grant(server, "key"), "");
  int files = 0;
  for (const auto& made : fs::recursive_directory_iterator(data.path())) {
    EXPECT_EQ(made.status().permissions() & kOthers, fs::perms::none) << made;
    files += made.is_regular_file();
  }
  EXPECT_GE(files, 4);
  EXPECT_EQ(fs::status(data.path()).permissions() & kOthers, fs::perms::none);
}

TEST(DataDir, KeepsItsLocksOverACleanEndAndOverKill9) {
  DataDirectory data;
  std::string lease;
  std::string lock;
  {
    ServerProcess server(embedded_in(data.path()));
    lease = grant(server, "key");
    server.ask("POST", "/v1/space/lock/abc/acquire", R"({"instanceId":"instance-1","leaseDuration":3600})");
    lock = server.ask("GET", "/v1/space/lock/abc").body;
    EXPECT_THAT(lock, HasSubstr("fencingToken"));
    EXPECT_EQ(server.stop(), 0);
  }
  for (int life = 0; life < 3; ++life) {
    ServerProcess server(embedded_in(data.path()));
    EXPECT_EQ(held(server, {lease}), 1);
    EXPECT_EQ(server.ask("GET", "/v1/space/lock/abc").body, lock);
    EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"key"})").status, 202);
    kill9(server);
  }
}

// Not even root may make a file there.
TEST(DataDir, APathThatCannotBeWrittenIsRefused) {
  expect_refused("/proc/shared-lock-data", "can't make the data directory");
}

TEST(DataDir, ADirectoryThatMayNotBeWrittenIsRefused) {
  namespace fs = std::filesystem;
  for (bool used_before : {false, true}) {
    DataDirectory data;
    fs::create_directory(data.path());
    std::string lease;
    if (used_before) {
      ServerProcess server(embedded_in(data.path()));
      lease = grant(server, "key");
    }
    auto modes = [&](fs::perms directory, fs::perms file) {
      for (const auto& in : fs::directory_iterator(data.path())) fs::permissions(in.path(), file);
      fs::permissions(data.path(), directory);
    };
    modes(fs::perms::owner_read | fs::perms::owner_exec, fs::perms::owner_read);
    ProcessOptions options = embedded_in(data.path());
    options.arguments = {"serve", "--port", "0"};
    options.obeys_file_modes = true;
    Ended ended = run_program(options);
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_THAT(ended.err, AllOf(HasSubstr(data.path().string()), HasSubstr("Permission denied")));

    modes(fs::perms::owner_all, fs::perms::owner_read | fs::perms::owner_write);
    ServerProcess server(embedded_in(data.path()));
    EXPECT_EQ(held(server, {lease}), used_before ? 1 : 0);
  }
}

TEST(DataDir, ADirectoryOfSomethingElseIsRefused) {
  DataDirectory data;
  std::filesystem::create_directory(data.path());
  std::ofstream(data.path() / "app.log") << "mine";
  expect_refused(data.path(), "is not one of shared-lock: it holds app.log");
}

TEST(DataDir, AFileInsteadOfTheDirectoryIsRefused) {
  DataDirectory data;
  std::ofstream(data.path()) << "mine";
  expect_refused(data.path(), "data directory");
  std::ifstream file(data.path());
  std::string word;
  EXPECT_TRUE(file >> word);
  EXPECT_EQ(word, "mine");
}

TEST(DataDir, ASecondServerIsRefusedAndTheFirstServesOn) {
  DataDirectory data;
  ServerProcess first(embedded_in(data.path()));
  std::string lease = grant(first, "key");
  expect_refused(data.path(), "open in another process");
  EXPECT_EQ(held(first, {lease}), 1);
  EXPECT_NE(grant(first, "other"), "");
  EXPECT_EQ(first.stop(), 0);
  ServerProcess next(embedded_in(data.path()));
  EXPECT_EQ(held(next, {lease}), 1);
}

TEST(DataDir, SafetyR13_AFlippedByteInTheMiddleIsRefusedAndNothingIsThrownAway) {
  KilledData data;
  WalFile wal(data.path());
  auto records = wal.records();
  ASSERT_GE(records.size(), 50U);
  const WalFile::Record middle = records[records.size() / 2];
  char& byte = wal.bytes()[middle.payload() + middle.length / 2];
  byte = static_cast<char>(byte ^ 0x40);
  wal.save();
  expect_refused(data.path(), "damaged");
  expect_refused(data.path(), "damaged");

  byte = static_cast<char>(byte ^ 0x40);
  wal.save();
  data.expect_all_there();
}

TEST(DataDir, SafetyR13_ATornTailOpensWithAllThatWasAcknowledged) {
  for (std::size_t torn_at : {std::size_t{1}, WalFile::kHeader, WalFile::kHeader + 5}) {
    KilledData data;
    WalFile wal(data.path());
    auto last = wal.records().back();
    wal.bytes().resize(last.end());
    wal.bytes() += wal.bytes().substr(last.at, torn_at);
    wal.save();
    data.expect_all_there();
  }
}

// Everything in a directory but the lock file.
std::map<std::string, std::string> contents_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> contents;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(file.path(), std::ios::binary);
    std::string name = file.path().filename().string();
    if (name != "LOCK") contents[name].assign(std::istreambuf_iterator<char>(in), {});
  }
  return contents;
}

// What the tests of the journal show for every byte.
TEST(DataDir, SafetyR13_ALostOrFlippedFileIsRefusedAndNothingIsThrownAway) {
  KilledData data;
  data.expect_all_there();  // and now they are in a table
  for (const auto& [name, bytes] : contents_of(data.path())) {
    bool is_table = name.ends_with(".sst");
    if (!is_table && !name.starts_with("MANIFEST-") && name != "CURRENT") continue;
    std::filesystem::path file = data.path() / name;
    std::string flipped = bytes;
    flipped[is_table ? 100 : 10] = static_cast<char>(~flipped[is_table ? 100 : 10]);
    std::ofstream(file, std::ios::binary) << flipped;
    auto before = contents_of(data.path());
    expect_refused(data.path(), "damaged");
    EXPECT_EQ(contents_of(data.path()), before) << name;

    std::filesystem::remove(file);
    before = contents_of(data.path());
    expect_refused(data.path(), "");
    EXPECT_EQ(contents_of(data.path()), before) << name;
    std::ofstream(file, std::ios::binary) << bytes;
  }
  data.expect_all_there();
}

// Step by step as the operations page says.
TEST(DataDir, ABackupIsRestored) {
  namespace fs = std::filesystem;
  DataDirectory data;
  const fs::path backup = data.path().string() + "-backup", aside = data.path().string() + "-aside";
  auto acquire = [](const ServerProcess& server) {
    auto answer = server.ask("POST", "/v1/space/lock/abc/acquire", R"({"instanceId":"i-1","leaseDuration":3600})");
    return boost::json::parse(answer.body).at("fencingToken").as_int64();
  };
  std::string held_then;
  {
    ServerProcess server(embedded_in(data.path()));
    held_then = grant(server, "then");
    acquire(server);
    EXPECT_EQ(server.stop(), 0);
  }
  fs::copy(data.path(), backup, fs::copy_options::recursive);

  std::string held_since;
  std::int64_t last_token = 0;
  {
    ServerProcess server(embedded_in(data.path()));
    EXPECT_EQ(held(server, {held_then}), 1);
    held_since = grant(server, "since");
    last_token = acquire(server);
    EXPECT_EQ(server.stop(), 0);
  }
  fs::rename(data.path(), aside);
  fs::copy(backup, data.path(), fs::copy_options::recursive);

  ServerProcess server(embedded_in(data.path()));
  EXPECT_EQ(held(server, {held_then}), 1);
  EXPECT_EQ(held(server, {held_since}), 0) << "forgotten, as the page warns";
  EXPECT_GT(acquire(server), last_token);
}

}  // namespace
}  // namespace sharedlock::test::data_dir
