#include "base/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace sharedlock {
namespace {

TEST(Environment, LineEndsAndSpacesAroundAValueDoNotCount) {
  for (const char* given : {"a b", " a b", "a b\n", "a b\r\n", "\t a b \r\n\n"}) EXPECT_EQ(trimmed(given), "a b");
  for (const char* given : {"", " ", "\r\n"}) EXPECT_EQ(trimmed(given), "");
  ASSERT_EQ(::setenv("SHARED_LOCK_TEST_VALUE", " x\r\n", 1), 0);
  EXPECT_EQ(environment_value("SHARED_LOCK_TEST_VALUE"), "x");
  ASSERT_EQ(::unsetenv("SHARED_LOCK_TEST_VALUE"), 0);
  EXPECT_EQ(environment_value("SHARED_LOCK_TEST_VALUE"), "");
}

TEST(Environment, AValueIsOneLine) {
  EXPECT_TRUE(is_one_line("a b \u00e9"));
  for (const char* given : {"a\nb", "a\rb", "a\tb", "a\x7f"}) EXPECT_FALSE(is_one_line(given)) << given;
}

}  // namespace
}  // namespace sharedlock
