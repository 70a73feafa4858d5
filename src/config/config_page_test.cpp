#include "config/config_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/options.h"

namespace sharedlock::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConfigPage, DocumentationIsUpToDate) {
  const std::string path = SHAREDLOCK_SOURCE_DIR "/docs/configuration.md";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == markdown_page())
      << "docs/configuration.md is not what the table says. Build, and then run:\n"
         "  build/release/shared-lock config --markdown > docs/configuration.md";
}

TEST(ConfigPage, EveryNameIsInTheDocumentation) {
  const auto page = markdown_page();
  for (const auto& option : options()) {
    EXPECT_THAT(page, HasSubstr("`--" + std::string(option.flag) + "`"));
    EXPECT_THAT(page, HasSubstr(std::string(option.help)));
    for (const auto& name : option.environment) EXPECT_THAT(page, HasSubstr("`" + name + "`"));
    for (const auto property : option.properties) EXPECT_THAT(page, HasSubstr("`" + std::string(property) + "`"));
  }
}

TEST(ConfigPage, EffectiveSettingsSayWhereEachCameFrom) {
  LoadInput input{.flags = {{"port", "9090"}},
                  .environment = {{"SHARED_LOCK_STORAGE_TYPE", "mock"}},
                  .file = FileText{"my.properties", "locker.etcd.keyPrefix=x/"}};
  const auto text = effective_settings(load(input));
  EXPECT_THAT(text, ::testing::ContainsRegex("server\\.port +9090 +flag --port\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("storage\\.type +memory +environment SHARED_LOCK_STORAGE_TYPE\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("keyPrefix +x/ +file my.properties:1: locker.etcd.keyPrefix\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("max-lease-ttl +24h +default\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("jwt\\.issuer +\\(none\\) +default\n"));
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), options().size());
}

TEST(ConfigPage, SecretsAreNotShown) {
  const LoadInput input{
      .flags = {{"etcd-password", "hunter2"}}, .environment = {{"SHARED_LOCK_ADMIN_TOKEN", "hunter3"}}, .file = {}};
  const auto text = effective_settings(load(input));
  EXPECT_THAT(text, Not(HasSubstr("hunter")));
  EXPECT_THAT(text, ::testing::ContainsRegex("admin\\.token +\\(secret\\) +environment SHARED_LOCK_ADMIN_TOKEN\n"));
}

}  // namespace
}  // namespace sharedlock::config
