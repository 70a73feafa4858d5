#include "load/options.h"

#include <algorithm>

#include "load/target.h"

namespace sharedlock::bench {

namespace {

constexpr double kLongest = 86'400;  // a day, for every value given in seconds

bool is_name(const std::string& name) {
  return name.size() <= 32 && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

bool is_path(const std::string& path) {
  return path.starts_with('/') && path.size() <= 1024 &&
         std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7F; });
}

// Written so that a NaN is outside every range.
bool within(double value, double least, double most) {
  return value >= least && value <= most;
}

std::optional<std::string> fault_in_time(const BenchOptions& options) {
  if (!within(options.seconds, 0.01, kLongest)) return "--seconds must be from 0.01 to 86400";
  if (!within(options.warmup_seconds, 0, kLongest)) return "--warmup must be from 0 to 86400 seconds";
  if (!within(options.timeout_seconds, 0.01, 3600)) return "--timeout must be from 0.01 to 3600 seconds";
  if (options.ttl_seconds < 1 || options.ttl_seconds > 86'400) return "--ttl must be from 1 to 86400 seconds";
  bool holds = !options.count && (options.workload == Workload::refusals ||
                                  options.workload == Workload::lock_refusals || options.workload == Workload::mixed);
  if (holds && static_cast<double>(options.ttl_seconds) < options.warmup_seconds + options.seconds + 1) {
    return "--ttl must outlast --warmup and --seconds, or what is to be refused becomes free";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> fault_in(const BenchOptions& options) {
  if (auto target = parse_url(options.url); !target) return "--url: " + target.error().message;
  if (options.connections < 1 || options.connections > 100'000) return "--connections must be from 1 to 100000";
  if (options.threads < 1 || options.threads > 64) return "--threads must be from 1 to 64";
  if (options.threads > options.connections) return "--threads must not be more than --connections";
  if (options.count && (*options.count < 1 || *options.count > 1'000'000'000'000)) {
    return "--requests must be from 1 to 10^12";
  }
  if (options.rate && !within(*options.rate, 0.01, 1e8)) return "--rate must be from 0.01 to 10^8 requests a second";
  if (options.keys < 1 || options.keys > 1'000'000'000) return "--keys must be from 1 to 10^9";
  if (!is_name(options.name)) return "--name must be at most 32 letters, digits, - and _";
  if (!is_path(options.path)) return "--path must begin with / and hold no blanks";
  return fault_in_time(options);
}

}  // namespace sharedlock::bench
