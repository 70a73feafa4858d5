#include "api/ops_api.h"

#include <chrono>
#include <string>
#include <utility>

namespace sharedlock {

namespace {

// If a check of the store takes longer, the answer is that the store does not answer.
constexpr std::chrono::seconds kPatience{1};

}  // namespace

std::vector<http::Route> OpsApi::routes() {
  using http::Method;
  auto open = [](Method method, std::string_view pattern, http::Handler handler) {
    return http::Route{method,
                       pattern,
                       std::move(handler),
                       /*admit=*/{},
                       /*plain_text=*/true,
                       /*quiet=*/true,
                       http::Priority::operators};
  };
  return {
      open(Method::get, "/health", [this](const auto& request) { return health(request); }),
      open(Method::get, "/actuator/health", [this](const auto& request) { return actuator_health(request); }),
      open(Method::get, "/ready", [this](const auto& request) { return ready(request); }),
      open(Method::get, "/metrics", [this](const auto& request) { return metrics(request); }),
  };
}

Task<http::Response> OpsApi::health(const http::Request&) {
  co_return http::Response(200, http::kPlainText, "OK");
}

Task<http::Response> OpsApi::actuator_health(const http::Request&) {
  co_return http::Response(200, http::kJson, R"({"status":"UP"})");
}

Task<http::Response> OpsApi::ready(const http::Request&) {
  if (ending_) co_return http::Response(503, http::kPlainText, "not ready: the server is about to stop");
  auto answered = co_await leases_.ready(kPatience);
  if (answered) co_return http::Response(200, http::kPlainText, "ready");
  co_return http::Response(503, http::kPlainText, "not ready: " + answered.error().message);
}

Task<http::Response> OpsApi::metrics(const http::Request&) {
  auto answered = co_await leases_.ready(kPatience);
  MetricsText text;
  for (const MetricsSource& source : sources_) source(text);
  text.gauges("shared_lock_store_failed", "Whether the store does not answer; the reason is in /ready and in the log.")
      .add(answered ? 0 : 1);
  co_return http::Response(200, "text/plain; version=0.0.4; charset=utf-8", text.text());
}

}  // namespace sharedlock
