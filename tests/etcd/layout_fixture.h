#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "etcd/service_on_etcd.h"

namespace sharedlock::test {

// One etcd and one server for all; each case uses keys of its own.
class EtcdLayout : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    service_ = std::make_unique<ServiceOnEtcd>(EtcdServer::shared(),
                                               Environment{{"SHARED_LOCK_ADMIN_TOKEN", "the-token-of-the-admin"}});
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(service_->server().stop(), 0) << service_->server().err();
    service_.reset();
    beside_go_.reset();
  }
  void SetUp() override { ASSERT_TRUE(service().becomes_ready()) << service().server().err(); }

  static ServiceOnEtcd& service() { return *service_; }
  // The setting that is needed beside servers of the Go service.
  static ServiceOnEtcd& beside_go() {
    if (!beside_go_)
      beside_go_ = std::make_unique<ServiceOnEtcd>(etcd(), Environment{{"SHARED_LOCK_ETCD_LEASES", "own"}});
    EXPECT_TRUE(beside_go_->becomes_ready()) << beside_go_->server().err();
    return *beside_go_;
  }
  static EtcdServer& etcd() { return EtcdServer::shared(); }

  // A record as the Java service writes it.
  static std::string java_record(const std::string& name, const std::string& instance, int duration,
                                 std::int64_t expiry) {
    return R"({"namespace":"space","lockName":")" + name + R"(","owner":"anonymous","instanceId":")" + instance +
           R"(","leaseDuration":)" + std::to_string(duration) + R"(,"expiry":)" + std::to_string(expiry) + "}";
  }
  static std::int64_t epoch_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  // Of etcd's log.
  static std::int64_t log_entries() {
    std::string status = etcd().etcdctl({"endpoint", "status", "-w", "json"});
    constexpr std::string_view kName = R"("raftIndex":)";
    return std::stoll(status.substr(status.find(kName) + kName.size()));
  }

 private:
  static inline std::unique_ptr<ServiceOnEtcd> service_;
  static inline std::unique_ptr<ServiceOnEtcd> beside_go_;
};

}  // namespace sharedlock::test
