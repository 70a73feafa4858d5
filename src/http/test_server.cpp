#include "http/test_server.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <stdexcept>
#include <thread>

#include "base/use_task.h"

namespace sharedlock::http {

namespace {

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

Task<Response> hello(const Request&) {
  co_return Response(200, kPlainText, "hello");
}

Task<Response> echo(const Request& request) {
  co_return Response(201, kPlainText, std::string(request.body));
}

Task<Response> show_parts(const Request& request) {
  std::string text;
  for (std::string_view part : {request.params[0], request.params[1], request.path}) text.append(part).append("|");
  text.append(request.query);
  co_return Response(200, kPlainText, std::move(text));
}

Task<Response> empty(const Request&) {
  co_return Response(204, kPlainText, "never sent");
}

Task<Response> fail(const Request&) {
  throw std::runtime_error("the handler broke");
  co_return Response(200);
}

Task<Response> large(const Request&) {
  co_return Response(200, kPlainText, std::string(16 * 1024 * 1024, 'x'));
}

Task<Response> large_health(const Request&) {
  co_return Response(200, kPlainText, std::string(6 * 1024 * 1024, 'x'));
}

Task<Response> count_headers(const Request& request) {
  co_return Response(200, kPlainText, std::to_string(request.headers.size()));
}

Task<Response> wait_at(Gate* gate) {
  ++gate->entered;
  Executor executor = co_await asio::this_coro::executor;
  Timer timer(executor);
  while (!gate->open) {
    timer.expires_after(std::chrono::milliseconds(1));
    co_await timer.async_wait(use_task);
  }
  co_return Response(200, kPlainText, "slow");
}

Task<Response> wait_for_gate_or_hang_up(const Request& request, Gate* gate) {
  ++gate->entered;
  auto gone = std::make_shared<bool>(false);
  request.caller->on_disconnect([gone, gate] {
    *gone = true;
    ++gate->disconnected;
  });
  Executor executor = co_await asio::this_coro::executor;
  Timer timer(executor);
  while (!gate->open && !*gone) {
    timer.expires_after(std::chrono::microseconds(100));
    co_await timer.async_wait(use_task);
  }
  Response response(200, kPlainText, "waited");
  response.if_undelivered([gate] { ++gate->undelivered; });
  co_return response;
}

std::optional<Response> needs_key(const Request& request) {
  if (!request.header("x-key")) return Response(401, kPlainText, "no key");
  for (std::string_view name : request.params) {
    if (name == "bad" || name.find('/') != std::string_view::npos) return Response(400, kPlainText, "bad name");
  }
  return std::nullopt;
}

ServerOptions options_with(const std::function<void(ServerOptions&)>& change) {
  ServerOptions options;
  options.address = "127.0.0.1";
  options.port = 0;
  if (change) change(options);
  return options;
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

LogFile::LogFile() : fd_(::memfd_create("log", MFD_CLOEXEC)) {}

LogFile::~LogFile() {
  ::close(fd_);
}

std::string LogFile::text() const {
  std::string text(1 << 20, '\0');
  ssize_t got = ::pread(fd_, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

std::vector<Route> test_routes(Gate& gate) {
  Handler slow = [&gate](const Request&) { return wait_at(&gate); };
  Handler waiting = [&gate](const Request& request) { return wait_for_gate_or_hang_up(request, &gate); };
  Count count = [&gate](int status) {
    ++gate.counted;
    gate.last_status = status;
  };
  std::vector<Route> routes;
  routes.push_back({Method::get, "/hello", hello});
  routes.push_back({Method::get, "/quiet", hello});
  routes.back().quiet = true;
  routes.push_back({Method::get, "/health", hello});
  routes.back().priority = Priority::operators;
  routes.push_back({Method::get, "/large-health", large_health});
  routes.back().priority = Priority::operators;
  routes.push_back(for_holders({Method::post, "/renew", echo}));
  routes.push_back(for_holders({Method::get, "/slow-renew", slow}));
  routes.push_back({Method::post, "/echo", echo});
  routes.push_back({Method::get, "/v1/{a}/lock/{b}", show_parts});
  routes.push_back({Method::get, "/empty", empty});
  routes.push_back({Method::get, "/throw", fail});
  routes.back().count = count;
  routes.push_back({Method::post, "/guarded", echo, needs_key});
  routes.back().count = count;
  routes.push_back({Method::post, "/v1/{a}/guarded", echo, needs_key});
  routes.push_back({Method::get, "/slow", slow});
  routes.push_back({Method::get, "/waiting", waiting});
  routes.push_back({Method::get, "/large", large});
  routes.push_back({Method::get, "/plain", hello});
  routes.back().plain_text = true;
  routes.push_back({Method::get, "/headers", count_headers});
  return routes;
}

TestServer::TestServer(const std::function<void(ServerOptions&)>& change, LogLevel level)
    : log(level, log_file.fd()),
      router(test_routes(gate)),
      threads(2),
      server(options_with(change), router, threads, clock, log) {
  auto started = server.start();
  if (started.has_error()) throw std::runtime_error(started.error().message);
}

// A test that failed half-way must not wait for its slow handlers.
TestServer::~TestServer() {
  gate.open = true;
}

}  // namespace sharedlock::http
