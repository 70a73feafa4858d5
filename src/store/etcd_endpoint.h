#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sharedlock {

// One member of an etcd cluster, as clients reach it.
struct EtcdEndpoint {
  std::string name;    // as it was written: for people
  std::string target;  // for gRPC: "dns:///host:port"
  bool tls = false;

  bool operator==(const EtcdEndpoint&) const = default;
};

// Reads `http://host:port`, `https://host:port`, `host:port`, with an IPv6 address in brackets, and an optional `/` at
// the end. TLS: for https, and for all where `always_tls`. invalid_argument: it is none of these.
Result<EtcdEndpoint> parse_etcd_endpoint(std::string_view text, bool always_tls);

// Which endpoint to use: one that works is kept; one that failed is left alone for a while, and the next in turn takes
// over. Not thread-safe.
class EtcdEndpointChoice {
 public:
  // How long an endpoint that failed is left alone.
  static constexpr std::chrono::seconds kAvoided{5};

  explicit EtcdEndpointChoice(std::size_t count) : avoided_until_(count) {}

  // The one to use now; where all have failed, the one whose failure is the longest ago.
  std::size_t pick(BootTime now);

  void failed(std::size_t index, BootTime now) { avoided_until_[index] = now + kAvoided; }
  void worked(std::size_t index) { avoided_until_[index] = BootTime(); }

  // True when every endpoint failed a short while ago.
  bool all_failed(BootTime now) const;

 private:
  std::vector<BootTime> avoided_until_;
  std::size_t current_ = 0;
};

}  // namespace sharedlock
