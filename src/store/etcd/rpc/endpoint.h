#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sharedlock {

// One member of an etcd cluster, as clients reach it.
struct EtcdEndpoint {
  std::string name;    // as written: for people
  std::string target;  // for gRPC: "dns:///host:port"
  bool tls = false;

  bool operator==(const EtcdEndpoint&) const = default;
};

// Reads `http://host:port`, `https://host:port`, `host:port`, with an IPv6 address in brackets, and an optional `/` at
// the end. TLS: for https, and for all where `always_tls`. invalid_argument: it is none of these.
Result<EtcdEndpoint> parse_etcd_endpoint(std::string_view text, bool always_tls);
// All of them; there must be at least one.
Result<std::vector<EtcdEndpoint>> parse_etcd_endpoints(const std::vector<std::string>& texts, bool always_tls);

// How long attempts may take: a hanging member must not cost much, and a slow call must not be sent again and again
// without ever waiting for its answer. Not thread-safe.
class EtcdPace {
 public:
  // For the first attempt of a call that has `whole` in total: a second, or a third of a short call; longer if answers
  // take long, up to half of the call.
  std::chrono::nanoseconds first_attempt(std::chrono::nanoseconds whole) const;

  // An answer came after `took`.
  void answered(std::chrono::nanoseconds took);

 private:
  std::chrono::nanoseconds slow_{0};  // the slowest recent answer
};

// For each attempt of a call with `left` remaining: each gets twice the time of the previous one, the last one all that
// is left.
std::chrono::nanoseconds attempt_span(std::chrono::nanoseconds first, std::chrono::nanoseconds left, int attempt,
                                      bool last);

// Which endpoint to use: a working one is kept; a failed one is avoided for a while, and the next in turn takes over.
// Not thread-safe.
class EtcdEndpointChoice {
 public:
  // How long a failed endpoint is avoided.
  static constexpr std::chrono::seconds kAvoided{5};

  explicit EtcdEndpointChoice(std::size_t count) : avoided_until_(count), silent_since_(count) {}

  // The endpoint to use now; when all have failed, the one that failed longest ago.
  std::size_t pick(BootTime now);

  void failed(std::size_t index, BootTime now);
  void worked(std::size_t index);

  // An attempt that began at `began` has no answer yet. The endpoint has failed once it was silent for `bearable`, over
  // one attempt or several: many callers have little time, and none of them alone would show that it hangs. Returns
  // whether it has failed.
  bool silent(std::size_t index, BootTime began, BootTime now, std::chrono::nanoseconds bearable);

  // True when every endpoint failed a short while ago.
  bool all_failed(BootTime now) const;

 private:
  std::vector<BootTime> avoided_until_;
  std::vector<std::optional<BootTime>> silent_since_;
  std::size_t current_ = 0;
};

}  // namespace sharedlock
