#pragma once

#include <string>

#include "bench/options.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
}

namespace sharedlock {

// EX_USAGE of sysexits.h: 1 says that a request went wrong.
constexpr int kBenchUsageError = 64;

struct BenchFlags {
  bench::BenchOptions options;
  std::string workload = "mixed";
};

// Declares the flags of `bench`; `into` must outlive the parsing.
void declare_bench(CLI::App& command, BenchFlags& into);

// Runs it. Returns the exit code: 0, 1 when a request was not answered as it was meant to be, kBenchUsageError when a
// flag has no usable value.
int run_bench(const BenchFlags& flags);

}  // namespace sharedlock
