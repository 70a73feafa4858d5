#include "base/function_ref.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>

namespace sharedlock {
namespace {

using Describe = FunctionRef<std::string(const std::string& what, int times)>;

TEST(FunctionRef, CallsWhatItRefersTo) {
  int calls = 0;
  auto describe = [&calls](const auto& what, int times) {
    ++calls;
    return what + std::to_string(times);
  };
  Describe first(describe);
  Describe copy = first;
  EXPECT_EQ(first("a", 1), "a1");
  EXPECT_EQ(copy("b", 2), "b2");
  EXPECT_EQ(calls, 2);
}

TEST(FunctionRef, PassesOnWhatCanOnlyBeMoved) {
  auto unwrap = [](std::unique_ptr<int> number) { return *number; };
  FunctionRef<int(std::unique_ptr<int>)> ref(unwrap);
  EXPECT_EQ(ref(std::make_unique<int>(7)), 7);
}

TEST(FunctionRef, TakesNothingThatEndsBeforeIt) {
  auto describe = [](const std::string& what, int) { return what; };
  EXPECT_TRUE((std::is_constructible_v<Describe, decltype(describe)&>));
  EXPECT_FALSE((std::is_constructible_v<Describe, decltype(describe)>));
  EXPECT_FALSE((std::is_constructible_v<Describe, const decltype(describe)>));
  EXPECT_FALSE((std::is_constructible_v<Describe, int&>));
}

}  // namespace
}  // namespace sharedlock
