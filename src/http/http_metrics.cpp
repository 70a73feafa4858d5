#include "http/http_metrics.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace sharedlock::http {

namespace {

constexpr std::size_t kMethods = static_cast<std::size_t>(Method::other) + 1;

// Status -> its index in kCountedStatuses; 0 for any other.
constexpr auto kPlaces = [] {
  std::array<std::uint8_t, 600> places{};
  for (std::size_t i = 1; i < kCountedStatuses.size(); ++i) {
    places[static_cast<std::size_t>(kCountedStatuses[i])] = static_cast<std::uint8_t>(i);
  }
  return places;
}();

std::size_t place_of(int status) {
  auto index = static_cast<std::size_t>(status);
  return index < kPlaces.size() ? kPlaces[index] : 0;
}

struct SeriesName {
  std::string_view route;
  std::string_view method;
};

SeriesName name_of_series(const Router& router, std::size_t index) {
  std::size_t routes = router.routes().size();
  if (index < 2 * routes) {
    const Route& route = router.routes()[index / 2];
    return {route.pattern, name_of(index % 2 == 0 ? route.method : Method::head)};
  }
  auto method = static_cast<Method>(index - 2 * routes);
  return {"none", method == Method::other ? "other" : name_of(method)};
}

// The series with that index, summed over the threads.
struct Sum {
  std::array<std::uint64_t, kCountedStatuses.size()> statuses{};
  LatencyCounts latencies;

  bool any() const {
    return std::ranges::any_of(statuses, [](std::uint64_t count) { return count > 0; });
  }
};

Sum sum_of(std::span<const RequestCounts* const> threads, std::size_t index) {
  Sum sum;
  for (const RequestCounts* thread : threads) {
    const RequestCounts::Series& series = thread->series(index);
    for (std::size_t i = 0; i < sum.statuses.size(); ++i) sum.statuses[i] += series.statuses[i].value();
    for (std::size_t i = 0; i < kLatencyBuckets; ++i) sum.latencies.buckets[i] += series.latencies[i].value();
    sum.latencies.nanoseconds += series.nanoseconds.value();
  }
  return sum;
}

void write_statuses(MetricsText& text, const SeriesName& name, const Sum& sum) {
  for (std::size_t i = 0; i < sum.statuses.size(); ++i) {
    if (sum.statuses[i] == 0) continue;
    std::string status = i == 0 ? "other" : std::to_string(kCountedStatuses[i]);
    text.add(static_cast<double>(sum.statuses[i]),
             {{"route", name.route}, {"method", name.method}, {"status", status}});
  }
}

}  // namespace

RequestCounts::RequestCounts(const Router& router) : router_(router), series_(2 * router.routes().size() + kMethods) {}

void RequestCounts::count(const Route* route, Method method, int status, std::chrono::nanoseconds took) {
  auto routes = router_.routes();
  std::size_t index = 2 * routes.size() + static_cast<std::size_t>(method);
  if (route != nullptr) {
    bool is_head = method == Method::head && route->method != Method::head;
    index = 2 * static_cast<std::size_t>(route - routes.data()) + (is_head ? 1 : 0);
  }
  Series& series = series_[index];
  series.statuses[place_of(status)].add(1);
  series.latencies[latency_bucket(took)].add(1);
  series.nanoseconds.add(latency_nanoseconds(took));
}

void write_request_metrics(MetricsText& text, const Router& router, std::span<const RequestCounts* const> threads) {
  std::size_t all = 2 * router.routes().size() + kMethods;
  std::vector<Sum> sums;
  sums.reserve(all);
  for (std::size_t i = 0; i < all; ++i) sums.push_back(sum_of(threads, i));
  text.counters("shared_lock_http_requests_total", "Answered requests by route, method and status.");
  for (std::size_t i = 0; i < all; ++i) write_statuses(text, name_of_series(router, i), sums[i]);
  text.histograms("shared_lock_http_request_duration_seconds",
                  "Time from the end of a request's header until its answer was ready to be sent.");
  for (std::size_t i = 0; i < all; ++i) {
    SeriesName name = name_of_series(router, i);
    if (sums[i].any()) text.add(sums[i].latencies, {{"route", name.route}, {"method", name.method}});
  }
}

}  // namespace sharedlock::http
