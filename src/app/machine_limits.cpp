#include "app/machine_limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/cpus.h"
#include "base/memory.h"

namespace sharedlock {

namespace {

// 64 connections beyond the limits, plus several times the needs of the store (a handful of tables, its log, its lock),
// /proc, the log and a shell's leftovers.
constexpr std::size_t kReserve = 192;
constexpr std::uint64_t kMostBuffered = std::uint64_t{256} << 20;  // bytes: thousands of large requests
constexpr std::size_t kPerThread = 4;                              // epoll, timer, event

// Each connection needs a descriptor, and the usual soft limit of 1024 is meant for programs that use select().
std::size_t raise_file_limit(Log& log) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlim_t soft = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return limit.rlim_max;
  log.write(LogLevel::warn, "can't raise the limit of open files");
  return soft;
}

}  // namespace

std::size_t connections_that_fit(std::size_t descriptors, std::size_t threads) {
  std::size_t reserve = std::min(kReserve + kPerThread * threads, descriptors / 2);
  return std::max<std::size_t>(descriptors - reserve, 1);
}

config::Settings with_derived_limits(config::Settings settings, std::uint64_t memory) {
  auto half = [](std::uint64_t limit) { return std::max<std::uint64_t>(limit / 2, 1); };
  std::uint64_t connections = settings.max_connections;
  if (settings.max_connections_per_address == 0) settings.max_connections_per_address = half(connections);
  // A limit as large as the total is no limit: otherwise the last connection would be answered 429, though an idle one
  // could make room.
  if (settings.max_connections_per_address >= connections) settings.max_connections_per_address = 0;
  std::uint64_t in_flight = settings.max_requests_in_flight > 0 ? settings.max_requests_in_flight : connections;
  if (settings.max_waiters == 0) settings.max_waiters = half(std::min(connections, in_flight));
  if (settings.max_buffered_bytes == 0) settings.max_buffered_bytes = std::min(memory / 8, kMostBuffered);
  return settings;
}

config::Settings fitted_to_machine(config::Settings settings, Log& log) {
  if (settings.server_threads == 0) settings.server_threads = available_cpus();
  std::size_t descriptors = raise_file_limit(log);
  std::size_t fit = connections_that_fit(descriptors, settings.server_threads);
  if (settings.max_connections > fit) {
    log.write(LogLevel::warn, "fewer connections fit into the limit of open files than were asked for",
              {{"wanted", static_cast<std::int64_t>(settings.max_connections)},
               {"connections", static_cast<std::int64_t>(fit)},
               {"openFiles", static_cast<std::int64_t>(descriptors)}});
  }
  if (settings.max_connections == 0 || settings.max_connections > fit) settings.max_connections = fit;
  return with_derived_limits(std::move(settings), available_memory());
}

}  // namespace sharedlock
