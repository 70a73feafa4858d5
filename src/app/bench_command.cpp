#include "app/bench_command.h"

#include <sys/resource.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "load/options.h"
#include "load/run.h"

namespace sharedlock {

namespace {

constexpr const char* kFooter =
    "Workloads:\n"
    "  grants           POST /lease with fresh keys: 201\n"
    "  refusals         POST /lease with keys that are held: 202\n"
    "  lock-refusals    acquire of a lock that another instance holds: 423\n"
    "  keepalives       POST /keepalive of a lease for each connection: 200\n"
    "  acquire          acquire of locks with fresh names: 200\n"
    "  acquire-release  the same, each released again: 200\n"
    "  mixed            of ten requests 4 keepalives, 3 refusals, 1 grant, 1 acquire, 1 release\n"
    "  constant         GET of --path: 2xx; for other servers, as a measure\n"
    "What it takes is left to its TTL. Exit code: 0; 1 when a request was answered otherwise or not at all, or more "
    "than 5 % of a schedule could not be sent; 64 when a flag is wrong.";

// Connections need descriptors.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

struct Flags {
  bench::BenchOptions options;
  std::string workload = "mixed";
};

int usage_error(const std::string& what) {
  std::fprintf(stderr, "shared-lock: bench: %s\n", what.c_str());
  return kExitUsage;
}

// A flag with the present value of `into` as its default.
template <class Value>
Flag preset_flag(const char* name, Value& into, const char* help, const char* value) {
  std::ostringstream preset;
  preset << into;
  return {.name = name, .value = value, .help = help, .target = &into, .preset = preset.str()};
}

std::vector<Flag> flags_into(Flags& into) {
  bench::BenchOptions& options = into.options;
  return {
      preset_flag("--url", options.url, "The server.", "URL"),
      preset_flag("--workload", into.workload, "What to ask for; see below.", "NAME"),
      preset_flag("--connections", options.connections, "How many, each with one request at a time.", "N"),
      preset_flag("--threads", options.threads, "Of this client.", "N"),
      preset_flag("--seconds", options.seconds, "How long to measure.", "SECONDS"),
      preset_flag("--warmup", options.warmup_seconds, "Seconds of the same load before that.", "SECONDS"),
      {.name = "--requests",
       .value = "N",
       .help = "Send so many instead, all of them measured.",
       .target = &options.count,
       .excludes = {"--seconds", "--warmup"}},
      {.name = "--rate",
       .value = "PER_SECOND",
       .help = "Send so many a second by a schedule (open loop), and measure from when each was to be sent. Without "
               "it, a connection sends as soon as it has its answer (closed loop).",
       .target = &options.rate},
      preset_flag("--ttl", options.ttl_seconds, "Of leases and locks.", "SECONDS"),
      preset_flag("--keys", options.keys, "How many held keys refusals are spread over; taken first.", "N"),
      preset_flag("--name", options.name, "What keys and locks begin with; by default random.", "NAME"),
      preset_flag("--path", options.path, "Of the workload constant.", "PATH"),
      preset_flag("--timeout", options.timeout_seconds, "Without an answer for so long, a request has failed.",
                  "SECONDS"),
      {.name = "--json", .help = "Print one JSON object.", .target = &options.json},
  };
}

int run(const Flags& flags) {
  bench::BenchOptions options = flags.options;
  auto workload = bench::workload_named(flags.workload);
  if (!workload) {
    return usage_error("--workload: \"" + flags.workload + "\" is none of " + std::string(bench::all_workloads()));
  }
  options.workload = *workload;
  if (auto fault = bench::fault_in(options)) return usage_error(*fault);
  raise_file_limit();
  return bench::run(options);
}

}  // namespace

Command bench_command() {
  auto flags = std::make_shared<Flags>();
  return {.name = "bench",
          .help = "Load a server with requests, and print what it did.",
          .footer = kFooter,
          .flags = flags_into(*flags),
          .run = [flags] { return run(*flags); }};
}

}  // namespace sharedlock
