#include "load/workload.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace sharedlock::bench {

namespace {

// The placeholder of a number in a request. Not a text that a host or a name can contain.
constexpr std::string_view kNumber = "##############";

constexpr std::pair<std::string_view, Workload> kNames[] = {
    {"grants", Workload::grants},
    {"refusals", Workload::refusals},
    {"lock-refusals", Workload::lock_refusals},
    {"keepalives", Workload::keepalives},
    {"acquire", Workload::acquire},
    {"acquire-release", Workload::acquire_release},
    {"mixed", Workload::mixed},
    {"constant", Workload::constant},
};

std::string post(const RequestFacts& facts, std::string_view target, std::string_view header_lines,
                 std::string_view body) {
  std::string text("POST ");
  text.append(target).append(" HTTP/1.1\r\nHost: ").append(facts.host).append("\r\n").append(header_lines);
  text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return text;
}

std::string post_lease(const RequestFacts& facts, char kind) {
  std::string ttl = "x-lease-ttl: " + std::to_string(facts.ttl_seconds) + "s\r\n";
  std::string body = R"({"key":")" + facts.name + '-' + kind;
  body.append(kNumber).append(R"(","value":"bench"})");
  return post(facts, "/lease", ttl, body);
}

std::string lock_target(const RequestFacts& facts, std::string_view lock, std::string_view verb) {
  return "/v1/bench/lock/" + facts.name + std::string(lock).append("/").append(verb);
}

std::string acquire(const RequestFacts& facts, std::string_view lock, std::string_view instance) {
  std::string body = R"({"instanceId":")" + facts.name + std::string(instance) + R"(","leaseDuration":)" +
                     std::to_string(facts.ttl_seconds) + "}";
  return post(facts, lock_target(facts, lock, "acquire"), "", body);
}

std::string text_of(Call call, const RequestFacts& facts) {
  static const std::string kFresh = "-" + std::string(kNumber);
  switch (call) {
    case Call::grant:
      return post_lease(facts, 'g');
    case Call::refusal:
    case Call::hold_key:
      return post_lease(facts, 'h');
    case Call::take_lease:
      return post_lease(facts, 'k');
    case Call::keepalive:
      return "POST /keepalive HTTP/1.1\r\nHost: " + facts.host + "\r\nContent-Length: ";
    case Call::acquire:
      return acquire(facts, kFresh, "-me");
    case Call::release:
      return post(facts, lock_target(facts, kFresh, "release"), "", R"({"instanceId":")" + facts.name + R"(-me"})");
    case Call::hold_lock:
      return acquire(facts, "-held", "-holder");
    case Call::lock_refusal:
      return acquire(facts, "-held", "-me");
    case Call::constant:
      return "GET " + facts.path + " HTTP/1.1\r\nHost: " + facts.host + "\r\n\r\n";
  }
  return {};
}

void append_number(std::string& out, std::size_t number) {
  std::array<char, 20> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

}  // namespace

std::optional<Workload> workload_named(std::string_view name) {
  for (const auto& [known, workload] : kNames) {
    if (known == name) return workload;
  }
  return std::nullopt;
}

std::string_view name_of(Workload workload) {
  return std::ranges::find(kNames, workload, [](const auto& entry) { return entry.second; })->first;
}

std::string_view all_workloads() {
  static const std::string all = [] {
    std::string names;
    for (const auto& [name, workload] : kNames) names.append(names.empty() ? "" : "|").append(name);
    return names;
  }();
  return all;
}

std::span<const Call> calls_of(Workload workload) {
  static constexpr std::array kGrants{Call::grant};
  static constexpr std::array kRefusals{Call::refusal};
  static constexpr std::array kLockRefusals{Call::lock_refusal};
  static constexpr std::array kKeepalives{Call::keepalive};
  static constexpr std::array kAcquire{Call::acquire};
  static constexpr std::array kPairs{Call::acquire, Call::release};
  static constexpr std::array kConstant{Call::constant};
  // Holders that keep their locks, many clients that want one, and an occasional change.
  static constexpr std::array kMixed{Call::keepalive, Call::refusal,      Call::acquire, Call::keepalive, Call::refusal,
                                     Call::keepalive, Call::lock_refusal, Call::release, Call::keepalive, Call::grant};
  switch (workload) {
    case Workload::grants:
      return kGrants;
    case Workload::refusals:
      return kRefusals;
    case Workload::lock_refusals:
      return kLockRefusals;
    case Workload::keepalives:
      return kKeepalives;
    case Workload::acquire:
      return kAcquire;
    case Workload::acquire_release:
      return kPairs;
    case Workload::mixed:
      return kMixed;
    case Workload::constant:
      return kConstant;
  }
  return {};
}

bool is_expected(Call call, int status) {
  switch (call) {
    case Call::grant:
    case Call::take_lease:
      return status == 201;
    case Call::refusal:
      return status == 202;
    case Call::keepalive:
    case Call::acquire:
    case Call::release:
      return status == 200;
    case Call::lock_refusal:
      return status == 423;
    case Call::constant:
      return status >= 200 && status < 300;
    case Call::hold_key:
      return status == 201 || status == 202;
    case Call::hold_lock:
      return status == 200 || status == 423;
  }
  return false;
}

Requests::Requests(const RequestFacts& facts) {
  for (std::size_t i = 0; i < std::size(forms_); ++i) {
    forms_[i].text = text_of(static_cast<Call>(i), facts);
    forms_[i].number_at = forms_[i].text.find(kNumber);
  }
}

void Requests::write(Call call, std::uint64_t number, std::string_view lease, std::string& out) const {
  const Form& form = forms_[static_cast<std::size_t>(call)];
  out = form.text;
  if (call == Call::keepalive) {
    append_number(out, lease.size());
    out.append("\r\n\r\n").append(lease);
  } else if (form.number_at != std::string::npos) {
    for (std::size_t at = form.number_at + kNumber.size(); at-- > form.number_at; number /= 10) {
      out[at] = static_cast<char>('0' + number % 10);
    }
  }
}

}  // namespace sharedlock::bench
