#include "telemetry/symbols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace sharedlock {
namespace {

// Not exported, so that only the symbol table knows it.
[[gnu::noinline]] int a_function_of_this_test(int value) {
  return value * 3 + 1;
}

std::uintptr_t address_of(int (*function)(int)) {
  return reinterpret_cast<std::uintptr_t>(function);
}

TEST(Symbols, NameTheFunctionsOfTheProgram) {
  Symbols symbols;
  EXPECT_GT(symbols.size(), 100U);
  EXPECT_THAT(symbols.name_at(address_of(a_function_of_this_test)), testing::HasSubstr("a_function_of_this_test(int)"));
  EXPECT_THAT(symbols.name_at(address_of(a_function_of_this_test) + 1), testing::HasSubstr("a_function_of_this_test"));
}

TEST(Symbols, NameWhatLibrariesExport) {
  EXPECT_THAT(Symbols().name_at(reinterpret_cast<std::uintptr_t>(&::getenv)), testing::HasSubstr("getenv"));
}

TEST(Symbols, AnAddressOfNothingHasNoName) {
  EXPECT_EQ(Symbols().name_at(0), "");
  EXPECT_EQ(Symbols().name_at(16), "");
  EXPECT_EQ(Symbols().name_at(UINTPTR_MAX), "");
}

}  // namespace
}  // namespace sharedlock
