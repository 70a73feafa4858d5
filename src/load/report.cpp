#include "load/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/json_text.h"

namespace sharedlock::bench {

namespace {

using std::chrono::nanoseconds;

double seconds_of(nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e9;
}

double microseconds_of(nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e3;
}

std::string decimal(double number, int digits) {
  char text[64];
  int size = std::snprintf(text, sizeof text, "%.*f", digits, number);
  return {text, static_cast<std::size_t>(std::max(size, 0))};
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string short_time(nanoseconds duration) {
  double microseconds = microseconds_of(duration);
  if (microseconds < 1000) return decimal(microseconds, 0) + " µs";
  if (microseconds < 1e6) return decimal(microseconds / 1e3, 2) + " ms";
  return decimal(microseconds / 1e6, 2) + " s";
}

struct Share {
  const char* name;
  double share;
};
constexpr Share kShares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

std::string first_line(const Report& report) {
  const BenchOptions& options = report.options;
  std::string line(name_of(options.workload));
  line += " on " + options.url + ": " + std::to_string(options.connections) + " connections, " +
          std::to_string(options.threads) + (options.threads == 1 ? " thread, " : " threads, ") +
          decimal(seconds_of(report.tally.elapsed), 2) + " s, ";
  line += options.rate ? decimal(*options.rate, 0) + " requests/s asked for" : "closed loop";
  return line + (report.interrupted ? ", interrupted\n" : "\n");
}

std::string latency_line(const Histogram& latency) {
  std::string line = "latency     ";
  for (const Share& wanted : kShares) {
    line += std::string(wanted.name) + " " + short_time(latency.at(wanted.share)) + "   ";
  }
  return line + "max " + short_time(latency.max()) + "\n";
}

std::string answers_line(const Tally& tally) {
  std::string line = "answers     ";
  for (std::size_t status = 0; status < tally.statuses.size(); ++status) {
    if (tally.statuses[status] > 0) line += std::to_string(status) + ": " + grouped(tally.statuses[status]) + "   ";
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

// Nothing when all went well.
std::string trouble_lines(const Report& report) {
  const Tally& tally = report.tally;
  std::string lines;
  auto say = [&lines](std::uint64_t count, const char* what) {
    if (count > 0) lines += "FAILED      " + grouped(count) + " " + what + "\n";
  };
  say(tally.unexpected, "answers with another status than the request was for");
  say(tally.failures.connect, "connections could not be made");
  say(tally.failures.closed, "connections were closed while an answer was due");
  say(tally.failures.timeout, "requests got no answer in time");
  say(tally.failures.malformed, "answers were not HTTP/1.1 with a Content-Length");
  if (tally.not_sent > 0) {
    lines += "behind      " + grouped(tally.not_sent) +
             " requests were due and not sent when time was up; they count with the time they had waited by then\n";
  }
  if (report.is_far_behind()) lines += "FAILED      " + std::string(kFarBehind) + "\n";
  if (!report.failure.empty()) lines += "FAILED      " + report.failure + "\n";
  return lines;
}

std::string json_number(double number, int digits) {
  return std::isfinite(number) ? decimal(number, digits) : "null";
}

std::int64_t whole(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

std::string json_latency(const Histogram& latency) {
  JsonObject object;
  object.raw("mean", json_number(microseconds_of(latency.mean()), 1));
  for (const Share& wanted : kShares) {
    object.raw(wanted.name, json_number(microseconds_of(latency.at(wanted.share)), 1));
  }
  object.raw("max", json_number(microseconds_of(latency.max()), 1));
  return object.take();
}

std::string json_statuses(const Tally& tally) {
  JsonObject object;
  for (std::size_t status = 0; status < tally.statuses.size(); ++status) {
    if (tally.statuses[status] > 0) object.number(std::to_string(status), whole(tally.statuses[status]));
  }
  return object.take();
}

std::string json_failures(const Failures& failures) {
  JsonObject object;
  object.number("connect", whole(failures.connect))
      .number("closed", whole(failures.closed))
      .number("timeout", whole(failures.timeout))
      .number("malformed", whole(failures.malformed));
  return object.take();
}

}  // namespace

std::uint64_t Report::answered() const {
  return tally.latency.count() - tally.not_sent - tally.unanswered;
}

bool Report::is_far_behind() const {
  return tally.not_sent * 20 > tally.latency.count();
}

double Report::requests_per_second() const {
  double seconds = seconds_of(tally.elapsed);
  return seconds > 0 ? static_cast<double>(answered()) / seconds : 0;
}

std::optional<double> Report::server_cpu_per_request() const {
  if (!server_cpu_seconds || tally.answers == 0) return std::nullopt;
  return *server_cpu_seconds * 1e6 / static_cast<double>(tally.answers);
}

double Report::client_cpu_per_request() const {
  return tally.answers == 0 ? 0 : microseconds_of(tally.cpu) / static_cast<double>(tally.answers);
}

bool Report::is_good() const {
  return failure.empty() && !is_far_behind() && tally.unexpected == 0 && tally.failures.all() == 0;
}

std::string to_text(const Report& report) {
  const Tally& tally = report.tally;
  std::string text = first_line(report);
  text += "requests    " + grouped(report.answered()) + "   " +
          grouped(static_cast<std::uint64_t>(std::llround(report.requests_per_second()))) + "/s\n";
  text += latency_line(tally.latency) + answers_line(tally);
  auto server = report.server_cpu_per_request();
  text += "server CPU  " + (server ? decimal(*server, 2) + " µs/request" : "not told by its /metrics") + "\n";
  text += "client CPU  " + decimal(report.client_cpu_per_request(), 2) + " µs/request\n";
  return text + trouble_lines(report);
}

std::string to_json(const Report& report) {
  const Tally& tally = report.tally;
  const BenchOptions& options = report.options;
  auto server = report.server_cpu_per_request();
  JsonObject object;
  object.text("workload", name_of(options.workload))
      .text("url", options.url)
      .number("connections", options.connections)
      .number("threads", options.threads)
      .raw("rate", options.rate ? json_number(*options.rate, 2) : "null")
      .raw("seconds", json_number(seconds_of(tally.elapsed), 3))
      .number("requests", whole(report.answered()))
      .raw("requests_per_second", json_number(report.requests_per_second(), 1))
      .raw("latency_us", json_latency(tally.latency))
      .raw("statuses", json_statuses(tally))
      .number("unexpected", whole(tally.unexpected))
      .raw("failures", json_failures(tally.failures))
      .number("not_sent", whole(tally.not_sent))
      .number("answers", whole(tally.answers))
      .number("prepared", whole(tally.prepared))
      .raw("server_cpu_us_per_request", server ? json_number(*server, 3) : "null")
      .raw("client_cpu_us_per_request", json_number(report.client_cpu_per_request(), 3))
      .boolean("interrupted", report.interrupted)
      .text("failure", report.failure);
  return object.take();
}

}  // namespace sharedlock::bench
