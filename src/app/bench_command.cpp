#include "app/bench_command.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>

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

void declare(CLI::App& command, Flags& into) {
  bench::BenchOptions& options = into.options;
  auto add = [&command](const std::string& flag, auto& value, const std::string& help, const char* type) {
    command.add_option(flag, value, help)->type_name(type)->capture_default_str();
  };
  add("--url", options.url, "The server.", "URL");
  add("--workload", into.workload, "What to ask for; see below.", "NAME");
  add("--connections", options.connections, "How many, each with one request at a time.", "N");
  add("--threads", options.threads, "Of this client.", "N");
  auto* seconds = command.add_option("--seconds", options.seconds, "How long to measure.");
  auto* warmup = command.add_option("--warmup", options.warmup_seconds, "Seconds of the same load before that.");
  seconds->type_name("SECONDS")->capture_default_str();
  warmup->type_name("SECONDS")->capture_default_str();
  command.add_option("--requests", options.count, "Send so many instead, all of them measured.")
      ->type_name("N")
      ->excludes(seconds)
      ->excludes(warmup);
  command
      .add_option("--rate", options.rate,
                  "Send so many a second by a schedule (open loop), and measure from when each was to be sent. Without "
                  "it, a connection sends as soon as it has its answer (closed loop).")
      ->type_name("PER_SECOND");
  add("--ttl", options.ttl_seconds, "Of leases and locks.", "SECONDS");
  add("--keys", options.keys, "How many held keys refusals are spread over; taken first.", "N");
  add("--name", options.name, "What keys and locks begin with; by default random.", "NAME");
  add("--path", options.path, "Of the workload constant.", "PATH");
  add("--timeout", options.timeout_seconds, "Without an answer for so long, a request has failed.", "SECONDS");
  command.add_flag("--json", options.json, "Print one JSON object.");
  command.footer(kFooter);
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

Command add_bench(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *program.add_subcommand("bench", "Load a server with requests, and print what it did.");
  declare(app, *flags);
  return {&app, [flags] { return run(*flags); }};
}

}  // namespace sharedlock
