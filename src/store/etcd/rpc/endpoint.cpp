#include "store/etcd/rpc/endpoint.h"

#include <algorithm>

namespace sharedlock {

namespace {

constexpr std::chrono::nanoseconds kFirstAttempt = std::chrono::seconds(1);

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_port(std::string_view text) {
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, is_digit);
}

// A name, an IPv4 address, or an IPv6 address in brackets.
bool is_host(std::string_view text) {
  bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
  if (bracketed) text = text.substr(1, text.size() - 2);
  return !text.empty() && text.find_first_of(bracketed ? "[]/@ " : "[]/@: ") == std::string_view::npos;
}

}  // namespace

Result<EtcdEndpoint> parse_etcd_endpoint(std::string_view text, bool always_tls) {
  std::string_view rest = text;
  bool https = take(rest, "https://");
  if (!https) take(rest, "http://");
  if (rest.ends_with('/')) rest.remove_suffix(1);
  auto colon = rest.rfind(':');
  bool sound = colon != std::string_view::npos && is_host(rest.substr(0, colon)) && is_port(rest.substr(colon + 1));
  if (!sound) {
    return Error{Errc::invalid_argument,
                 "not an etcd endpoint such as http://etcd-1:2379: \"" + std::string(text) + "\""};
  }
  return EtcdEndpoint{std::string(text), "dns:///" + std::string(rest), https || always_tls};
}

Result<std::vector<EtcdEndpoint>> parse_etcd_endpoints(const std::vector<std::string>& texts, bool always_tls) {
  std::vector<EtcdEndpoint> endpoints;
  for (const std::string& text : texts) {
    auto endpoint = parse_etcd_endpoint(text, always_tls);
    if (!endpoint) return endpoint.error();
    endpoints.push_back(*std::move(endpoint));
  }
  if (endpoints.empty()) return Error{Errc::invalid_argument, "there is no etcd endpoint"};
  return endpoints;
}

std::chrono::nanoseconds EtcdPace::first_attempt(std::chrono::nanoseconds whole) const {
  std::chrono::nanoseconds usual = std::min(kFirstAttempt, whole / 3);
  return std::clamp(2 * slow_, usual, std::max(usual, whole / 2));
}

void EtcdPace::answered(std::chrono::nanoseconds took) {
  slow_ = std::max(took, slow_ - slow_ / 32);
}

std::chrono::nanoseconds attempt_span(std::chrono::nanoseconds first, std::chrono::nanoseconds left, int attempt,
                                      bool last) {
  return last ? left : std::min(left, first * (1 << std::min(attempt, 16)));
}

std::size_t EtcdEndpointChoice::pick(BootTime now) {
  for (std::size_t step = 0; step < avoided_until_.size(); ++step) {
    std::size_t index = (current_ + step) % avoided_until_.size();
    if (avoided_until_[index] <= now) return current_ = index;
  }
  auto first_to_end = std::ranges::min_element(avoided_until_);
  return current_ = static_cast<std::size_t>(first_to_end - avoided_until_.begin());
}

void EtcdEndpointChoice::failed(std::size_t index, BootTime now) {
  avoided_until_[index] = now + kAvoided;
  silent_since_[index].reset();
}

void EtcdEndpointChoice::worked(std::size_t index) {
  avoided_until_[index] = BootTime();
  silent_since_[index].reset();
}

bool EtcdEndpointChoice::silent(std::size_t index, BootTime began, BootTime now, std::chrono::nanoseconds bearable) {
  auto& since = silent_since_[index];
  if (!since) since = began;
  if (now - *since < bearable) return false;
  failed(index, now);
  return true;
}

bool EtcdEndpointChoice::all_failed(BootTime now) const {
  return std::ranges::all_of(avoided_until_, [now](BootTime until) { return until > now; });
}

}  // namespace sharedlock
