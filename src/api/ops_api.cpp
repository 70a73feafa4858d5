#include "api/ops_api.h"

#include <chrono>

namespace sharedlock {

std::vector<http::Route> OpsApi::routes() {
  using http::Method;
  auto open = [](Method method, std::string_view pattern, http::Handler handler) {
    return http::Route{method, pattern, std::move(handler), /*admit=*/{}, /*plain_text=*/true, /*quiet=*/true};
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
  auto answered = co_await leases_.ready(std::chrono::seconds(1));
  if (answered) co_return http::Response(200, http::kPlainText, "ready");
  co_return http::Response(503, http::kPlainText, "not ready: " + answered.error().message);
}

Task<http::Response> OpsApi::metrics(const http::Request&) {
  co_return http::Response(200, "text/plain; version=0.0.4; charset=utf-8", metrics_.to_prometheus_text());
}

}  // namespace sharedlock
