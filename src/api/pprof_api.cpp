#include "api/pprof_api.h"

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/use_task.h"
#include "http/client_address.h"
#include "http/text.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;

constexpr seconds kDefaultLength{30};
constexpr seconds kLongest{300};
constexpr std::chrono::milliseconds kLookAgain{100};

constexpr std::string_view kIndex =
    "profile?seconds=30  where CPU time is spent, over so many seconds (1 to 300)\n"
    "heap                a sample of the memory that is allocated now\n"
    "cmdline             how this program was started\n"
    "symbol              names of functions by address\n"
    "\n"
    "google-pprof --text http://127.0.0.1:PORT/debug/pprof/profile?seconds=30\n";

http::Response text_answer(int status, std::string_view text) {
  return {status, http::kPlainText, std::string(text)};
}

http::Response binary(std::string bytes) {
  return {200, "application/octet-stream", std::move(bytes)};
}

// The host of "name", "name:port", "[address]" or "[address]:port".
std::string_view without_port(std::string_view host) {
  bool in_brackets = host.starts_with('[');
  std::size_t end = host.find(in_brackets ? ']' : ':');
  if (end == std::string_view::npos) return host;
  return host.substr(in_brackets ? 1 : 0, in_brackets ? end - 1 : end);
}

bool is_loopback(std::string_view host) {
  if (http::equal_ignoring_case(host, "localhost")) return true;
  boost::system::error_code malformed;
  auto address = asio::ip::make_address(std::string(host), malformed);
  return !malformed && address.is_loopback();
}

// Requests of a page in a browser on this machine also come from here. It could not read an answer meant for another
// site, but would cost time; and if its own name were made to lead here, it could read the answer too, with that name
// as the host.
bool may_be_a_page(const http::Request& request) {
  std::string_view site = request.header("Sec-Fetch-Site").value_or("none");
  bool of_our_own = site == "none" || site == "same-origin";
  return !of_our_own || !is_loopback(without_port(request.header("Host").value_or("")));
}

std::optional<http::Response> admit(const http::Request& request) {
  if (http::client_of(request).is_local() && !may_be_a_page(request)) return std::nullopt;
  return text_answer(
      403, "Profiles are only for programs on the machine of the server, by a name of its own like localhost\n");
}

http::Response no_profiler() {
  return text_answer(
      501,
      "The profiler is not loaded: the library libtcmalloc_and_profiler.so.4 (package libgoogle-perftools4) is "
      "missing, or this is a build for development\n");
}

// Even when taking a profile throws.
class ReleaseOnExit {
 public:
  explicit ReleaseOnExit(std::atomic<bool>& flag) : flag_(flag) {}
  ReleaseOnExit(const ReleaseOnExit&) = delete;
  ReleaseOnExit& operator=(const ReleaseOnExit&) = delete;
  ~ReleaseOnExit() { flag_ = false; }

 private:
  std::atomic<bool>& flag_;
};

// The hexadecimal number that makes up all of `text`, with or without "0x".
std::optional<std::uintptr_t> parse_address(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  std::uintptr_t address = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), address, 16);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return address;
}

}  // namespace

std::optional<seconds> profile_length(std::string_view query) {
  constexpr std::string_view kName = "seconds=";
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (!pair.starts_with(kName)) continue;
    pair.remove_prefix(kName.size());
    int length = 0;
    auto [end, failed] = std::from_chars(pair.data(), pair.data() + pair.size(), length);
    bool usable = failed == std::errc() && end == pair.data() + pair.size();
    if (!usable || length < 1 || length > kLongest.count()) return std::nullopt;
    return seconds(length);
  }
  return kDefaultLength;
}

std::vector<http::Route> PprofApi::routes() {
  using http::Method;
  auto open = [](Method method, std::string_view pattern, http::Handler handler) {
    return http::Route{method,
                       pattern,
                       std::move(handler),
                       admit,
                       /*plain_text=*/true,
                       /*quiet=*/false,
                       http::Priority::operators};
  };
  return {
      open(Method::get, "/debug/pprof/", [this](const auto& request) { return index(request); }),
      open(Method::get, "/debug/pprof/profile", [this](const auto& request) { return profile(request); }),
      open(Method::get, "/debug/pprof/heap", [this](const auto& request) { return heap(request); }),
      open(Method::get, "/debug/pprof/cmdline", [this](const auto& request) { return command_line(request); }),
      open(Method::get, "/debug/pprof/symbol", [this](const auto& request) { return symbol(request); }),
      open(Method::post, "/debug/pprof/symbol", [this](const auto& request) { return symbol(request); }),
  };
}

Task<http::Response> PprofApi::index(const http::Request&) {
  co_return text_answer(200, kIndex);
}

Task<http::Response> PprofApi::profile(const http::Request& request) {
  if (!profiler_.available()) co_return no_profiler();
  auto length = profile_length(request.query);
  if (!length) co_return text_answer(400, "seconds: a number from 1 to 300 expected\n");
  if (busy_.exchange(true)) co_return text_answer(409, "A CPU profile is being taken already\n");
  ReleaseOnExit release(busy_);
  auto gone = std::make_shared<bool>(false);
  request.caller->on_disconnect([gone] { *gone = true; });
  http::Response answer = co_await take_profile(*length, gone);
  co_return answer;
}

// The machine's steady clock, as the profiler uses it; nothing here is decided by it.
Task<http::Response> PprofApi::take_profile(seconds length, std::shared_ptr<const bool> gone) {
  auto started = profiler_.start_cpu();
  if (!started) co_return text_answer(409, started.error().message + "\n");
  Executor executor = co_await asio::this_coro::executor;
  Timer timer(executor);
  auto end = steady_clock::now() + length;
  try {
    while (!stopping_ && !*gone && steady_clock::now() < end) {
      timer.expires_at(std::min(end, steady_clock::now() + kLookAgain));
      co_await timer.async_wait(use_task);
    }
  } catch (...) {
    profiler_.stop_cpu();
    throw;
  }
  auto profile = profiler_.stop_cpu();
  if (stopping_) co_return text_answer(503, "The server ends\n");
  if (!profile) co_return text_answer(500, profile.error().message + "\n");
  co_return binary(*std::move(profile));
}

Task<http::Response> PprofApi::heap(const http::Request&) {
  if (!profiler_.available()) co_return no_profiler();
  co_return binary(profiler_.heap());
}

// As in /proc: each argument ended by a NUL.
Task<http::Response> PprofApi::command_line(const http::Request&) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  co_return text_answer(200, std::string(std::istreambuf_iterator<char>(file), {}));
}

// GET without addresses: whether there are any names. POST, or GET with a query, of addresses with a '+' between them:
// a line for each that has a name.
Task<http::Response> PprofApi::symbol(const http::Request& request) {
  std::string_view addresses = request.method == http::Method::post ? request.body : request.query;
  if (addresses.empty()) co_return text_answer(200, "num_symbols: " + std::to_string(symbols_.size()) + "\n");
  std::string lines;
  while (!addresses.empty()) {
    std::string_view text = addresses.substr(0, addresses.find('+'));
    addresses.remove_prefix(std::min(addresses.size(), text.size() + 1));
    auto address = parse_address(text.substr(0, text.find_first_of("\r\n")));
    std::string name = address ? symbols_.name_at(*address) : std::string();
    if (!name.empty()) lines.append(text).append("\t").append(name).append("\n");
  }
  co_return text_answer(200, lines);
}

}  // namespace sharedlock
