// A disk that accepts no more writes: nothing that was acknowledged is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "crash/data_dir_fixture.h"
#include "crash/data_directory.h"
#include "support/server_process.h"

namespace sharedlock::test::data_dir {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr int kFillers = 20'000;

// Grants leases until the store fails; those that were acknowledged.
std::vector<std::string> fill(const ServerProcess& server) {
  std::vector<std::string> leases;
  const std::string value(8000, 'x');
  auto client = server.connect();
  for (int i = 0; i < kFillers; ++i) {
    auto response =
        client.request("POST", "/lease", R"({"key":"filler-)" + std::to_string(i) + R"(","value":")" + value + "\"}",
                       "x-lease-ttl: 1h\r\n");
    if (response.status != 201) {
      EXPECT_EQ(response.status, 500);
      EXPECT_EQ(response.body, "Failed to create lease");
      return leases;
    }
    leases.push_back(response.body);
  }
  ADD_FAILURE() << "the disk is never full";
  return leases;
}

void expect_failed(const ServerProcess& server, const std::filesystem::path& directory, const std::string& lease) {
  EXPECT_EQ(grant(server, "one-more"), "");
  EXPECT_EQ(server.ask("POST", "/keepalive", lease).status, 500) << "it surely still lives";
  auto acquire = server.ask("POST", "/v1/space/lock/abc/acquire", R"({"instanceId":"instance-1","leaseDuration":60})");
  EXPECT_EQ(acquire.status, 503);
  EXPECT_TRUE(acquire.header("Retry-After"));
  EXPECT_EQ(server.ask("GET", "/v1/space/lock/abc").status, 503);
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  auto ready = server.ask("GET", "/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body,
              AllOf(StartsWith("not ready: "), HasSubstr("see the log"), Not(HasSubstr(directory.string()))));
  EXPECT_THAT(server.ask("GET", "/metrics").body, HasSubstr("\nshared_lock_store_failed 1\n"));
  EXPECT_TRUE(server.says("the store stops: nothing is written any more until a restart"));
}

void set_file_size_limit(ServerProcess& server, rlim_t bytes) {
  rlimit limit{bytes, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(server.process().pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
}

void expect_recovered(const std::filesystem::path& directory, const std::vector<std::string>& leases) {
  ServerProcess server(embedded_in(directory));
  EXPECT_EQ(held(server, leases), static_cast<int>(leases.size()));
  EXPECT_NE(grant(server, "one-more"), "") << "what was refused did not happen";
  EXPECT_EQ(server.ask("GET", "/ready").status, 200);
}

TEST(DataDir, SafetyR13_AfterAFailedWriteNothingIsWrittenUntilARestart) {
  DataDirectory data;
  std::vector<std::string> leases;
  {
    ServerProcess server(embedded_in(data.path()));
    set_file_size_limit(server, 1 << 20);
    leases = fill(server);
    ASSERT_THAT(leases, Not(IsEmpty()));
    expect_failed(server, data.path(), leases.back());
    set_file_size_limit(server, RLIM_INFINITY);
    expect_failed(server, data.path(), leases.back());
    EXPECT_EQ(server.stop(), 0);
  }
  expect_recovered(data.path(), leases);
}

// A file system of a few megabytes. If this process may not mount one, a limit on the size of files has to do.
class SmallDisk {
 public:
  SmallDisk() {
    std::filesystem::create_directory(data_.path());
    mounted_ = ::mount("tmpfs", data_.path().c_str(), "tmpfs", 0, "size=16m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(data_.path().c_str(), MNT_DETACH);
  }

  const std::filesystem::path& path() const { return data_.path(); }
  bool mounted() const { return mounted_; }
  void limit(ServerProcess& server) const {
    if (!mounted_) set_file_size_limit(server, 16 << 20);
  }
  void make_room() const {
    if (!mounted_) return;
    EXPECT_EQ(::mount("tmpfs", data_.path().c_str(), "tmpfs", MS_REMOUNT, "size=256m"), 0);
  }

 private:
  DataDirectory data_;
  bool mounted_ = false;
};

TEST(DataDir, SafetyR13_AFullDiskLosesNothingThatWasAcknowledged) {
  SmallDisk disk;
  std::vector<std::string> leases;
  {
    ServerProcess server(embedded_in(disk.path()));
    disk.limit(server);
    leases = fill(server);
    ASSERT_GT(leases.size(), 100U);
    expect_failed(server, disk.path(), leases.back());
    EXPECT_EQ(server.stop(), 0);
  }
  if (disk.mounted()) expect_refused(disk.path(), "No space left on device");
  disk.make_room();
  expect_recovered(disk.path(), leases);
}

}  // namespace
}  // namespace sharedlock::test::data_dir
