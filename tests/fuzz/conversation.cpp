#include "fuzz/conversation.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "api/lease_api.h"
#include "api/lock_api.h"
#include "api/ops_api.h"
#include "base/manual_clock.h"
#include "base/task_group.h"
#include "fuzz/target.h"
#include "http/connections.h"
#include "http/session.h"
#include "store/memory/memory_store.h"

namespace sharedlock::fuzz {
namespace {

// Small limits, so that short inputs reach them.
constexpr std::size_t kHeaderLimit = 1024;
constexpr std::size_t kBodyLimit = 512;

Log& quiet_log() {
  static Log log(LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC));
  return log;
}

http::ServerOptions small_limits() {
  http::ServerOptions options;
  options.header_limit = kHeaderLimit;
  options.body_limit = kBodyLimit;
  return options;
}

// The server's routes on a store of their own, which is empty.
class Routes {
 public:
  explicit Routes(Clock& clock)
      : store_(make_memory_store(clock)),
        locks_({}, *store_, clock, quiet_log()),
        lock_sets_(locks_),
        leases_({}, *store_, clock, quiet_log()),
        lock_api_(locks_, lock_sets_, access_, waiters_, lock_metrics_, quiet_log(), /*strict=*/false),
        lease_api_({}, leases_, access_, waiters_, lease_metrics_, clock, quiet_log()),
        ops_api_(leases_, {}) {}

  // What their handlers are called with is added to `seen`.
  std::vector<http::Route> all(std::vector<Seen>& seen) {
    std::vector<http::Route> all;
    for (auto routes : {lease_api_.routes(), lock_api_.routes(), ops_api_.routes()}) {
      for (http::Route& route : routes) {
        route.handler = [&seen, handler = std::move(route.handler)](const http::Request& request) {
          seen.push_back({std::string(request.path), std::string(request.body)});
          return handler(request);
        };
        all.push_back(std::move(route));
      }
    }
    return all;
  }

 private:
  std::unique_ptr<LeaseStore> store_;
  LockService locks_;
  LockSetService lock_sets_;
  LeaseService leases_;
  Capacity waiters_{0};
  Access access_{{.authentication_disabled = true}};
  LockMetrics lock_metrics_;
  LeaseMetrics lease_metrics_;
  LockApi lock_api_;
  LeaseApi lease_api_;
  OpsApi ops_api_;
};

// Both ends of a connection; the client's never blocks.
struct Ends {
  int server = -1;
  int client = -1;

  Ends() {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "there are sockets");
    server = ends[0];
    client = ends[1];
    ::fcntl(client, F_SETFL, O_NONBLOCK);
  }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  ~Ends() { ::close(client); }
};

Task<void> serve(http::Socket socket, http::SessionContext* context) {
  http::Session session(std::move(socket), http::Peer(), *context);
  co_await session.run();
}

// A session and its client, both on this thread.
class Conversation {
 public:
  Conversation() {
    http::Socket socket(io_.get_executor());
    socket.assign(asio::ip::tcp::v4(), ends_.server);
    tasks_.spawn(io_.get_executor(), serve(std::move(socket), &context_));
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // After a wait, the remaining work has to run for the services to end.
  ~Conversation() {
    io_.restart();
    auto open = asio::make_work_guard(io_);
    std::jthread running([this] { io_.run(); });
    routes_.reset();
    open.reset();
  }

  void send(std::string_view bytes) {
    while (!bytes.empty() && tasks_.size() > 0) {
      ssize_t sent = ::send(ends_.client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) return;
      proceed();
    }
  }

  // To its end.
  Talk finish() {
    ::shutdown(ends_.client, SHUT_WR);
    auto begin = std::chrono::steady_clock::now();
    while (tasks_.size() > 0) {
      proceed();
      require(std::chrono::steady_clock::now() - begin < kPatience, "a session ends when its client has ended");
    }
    receive();
    return {take_apart(received_), std::move(seen_)};
  }

 private:
  static constexpr std::chrono::seconds kPatience{20};

  void proceed() {
    io_.poll();
    receive();
  }

  void receive() {
    std::array<char, 4096> piece{};
    ssize_t got = 0;
    while ((got = ::recv(ends_.client, piece.data(), piece.size(), 0)) > 0) {
      received_.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

  ManualClock clock_;
  std::vector<Seen> seen_;
  std::optional<Routes> routes_{std::in_place, clock_};
  http::Router router_{routes_->all(seen_)};
  http::RequestCounts counts_{router_};
  http::ServerOptions options_ = small_limits();
  asio::io_context io_{1};
  http::Connections connections_{io_.get_executor(), clock_};
  http::InFlight in_flight_{0};
  http::BufferedBytes buffered_{0};
  http::SessionContext context_{options_, router_, clock_, quiet_log(), connections_, in_flight_, buffered_, counts_};
  Ends ends_;
  TaskGroup tasks_;
  std::string received_;
};

}  // namespace

Talk talk(std::string_view input, std::optional<unsigned> seed) {
  Conversation conversation;
  while (!input.empty()) {
    std::size_t piece = input.size();
    if (seed) {
      seed = *seed * 1103515245U + 12345U;
      piece = std::min(input.size(), static_cast<std::size_t>(1 + (*seed >> 16) % 40));
    }
    conversation.send(input.substr(0, piece));
    input.remove_prefix(piece);
  }
  return conversation.finish();
}

}  // namespace sharedlock::fuzz
