#include "store/etcd/rpc/version.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <optional>

namespace sharedlock {

namespace {

using Version = std::array<int, 3>;

std::optional<Version> parse_version(std::string_view text) {
  Version version{};
  const char* at = text.data();
  const char* end = text.data() + text.size();
  for (std::size_t part = 0; part < version.size(); ++part) {
    if (part > 0) {
      if (at == end || *at != '.') return std::nullopt;
      ++at;
    }
    auto [rest, error] = std::from_chars(at, end, version[part]);
    if (error != std::errc()) return std::nullopt;
    at = rest;
  }
  return version;
}

// The releases of 3.4, 3.5 and 3.6 that fixed a fault.
struct Fault {
  std::string_view what;
  std::array<int, 3> fixed;
};
constexpr Fault kFaults[] = {
    {"a watch may lose events after a compaction", {36, 0, 0}},
    {"a renewal may succeed on a lease that has just ended", {38, 23, 5}},
    {"nested transactions bypass role checks (CVE-2026-33343), and reads may be stale after a pause", {42, 28, 9}},
    {"writes in nested transactions are not counted against the quota", {44, 33, 14}},
};

}  // namespace

std::string faults_of_etcd(std::string_view version_text) {
  auto version = parse_version(version_text);
  if (!version) return {};
  auto [major, minor, release] = *version;
  bool listed = major == 3 && minor >= 4 && minor <= 6;
  if (!listed)
    return major < 3 || (major == 3 && minor < 4) ? "it is older than 3.4, the oldest that is known here" : "";
  std::string faults;
  for (const Fault& fault : kFaults) {
    if (release >= fault.fixed[static_cast<std::size_t>(minor - 4)]) continue;
    if (!faults.empty()) faults += "; ";
    faults += fault.what;
  }
  return faults;
}

}  // namespace sharedlock
