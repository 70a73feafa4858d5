#include "support/slow_link.h"

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <utility>

#include "base/async_event.h"
#include "base/use_task.h"

namespace sharedlock::test {

namespace {

using tcp = boost::asio::ip::tcp;
using Time = std::chrono::steady_clock::time_point;
using Buffer = std::array<char, 16384>;

Task<std::size_t> read_some(tcp::socket* from, Buffer* buffer) {
  boost::system::error_code error;
  auto read = co_await from->async_read_some(asio::buffer(*buffer), error_to(error));
  co_return error ? 0 : read;
}

Task<bool> write(tcp::socket* to, const char* data, std::size_t size) {
  boost::system::error_code error;
  co_await asio::async_write(*to, asio::buffer(data, size), error_to(error));
  co_return !error;
}

}  // namespace

// One direction of a connection.
struct SlowLink::Way {
  Way(tcp::socket& source, tcp::socket& sink, const Executor& executor) : from(source), to(sink), wake(executor) {}

  tcp::socket& from;
  tcp::socket& to;
  std::deque<std::pair<Time, std::string>> under_way;  // and when it is due; empty: the end
  AsyncEvent wake;
};

struct SlowLink::Connection {
  Connection(tcp::socket accepted, const Executor& executor)
      : client(std::move(accepted)),
        server(executor),
        to_server(client, server, executor),
        to_client(server, client, executor) {}

  void close() {
    boost::system::error_code ignored;
    // Programs that were started meanwhile have copies of both: closing alone would end nothing.
    client.shutdown(tcp::socket::shutdown_both, ignored);
    server.shutdown(tcp::socket::shutdown_both, ignored);
    client.close(ignored);
    server.close(ignored);
    closed = true;
    to_server.wake.raise();
    to_client.wake.raise();
  }

  tcp::socket client;
  tcp::socket server;
  Way to_server;
  Way to_client;
  bool closed = false;
};

SlowLink::SlowLink(const std::string& address, std::uint16_t port)
    : server_(asio::ip::make_address(address), port),
      acceptor_(threads_.executor(0), tcp::endpoint(server_.address(), 0)) {
  tasks_.spawn(threads_.executor(0), accept_all());
}

SlowLink::~SlowLink() {
  tasks_.spawn(threads_.executor(0), end());
  tasks_.join();
}

void SlowLink::lead_to(std::uint16_t port) {
  tasks_.spawn(threads_.executor(0), turn_to(port));
}

Task<void> SlowLink::end() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  cut();
  co_return;
}

Task<void> SlowLink::turn_to(std::uint16_t port) {
  server_.port(port);
  cut();
  co_return;
}

void SlowLink::cut() {
  for (const auto& connection : connections_) connection->close();
  connections_.clear();
}

std::string SlowLink::url() const {
  auto local = acceptor_.local_endpoint();
  return "http://" + local.address().to_string() + ":" + std::to_string(local.port());
}

Task<void> SlowLink::accept_all() {
  while (true) {
    boost::system::error_code error;
    auto client = co_await acceptor_.async_accept(error_to(error));
    if (error) co_return;
    auto connection = std::make_shared<Connection>(std::move(client), threads_.executor(0));
    co_await connection->server.async_connect(server_, error_to(error));
    if (error) continue;
    connections_.push_back(connection);
    for (Way* way : {&connection->to_server, &connection->to_client}) {
      tasks_.spawn(threads_.executor(0), take(connection, way));
      tasks_.spawn(threads_.executor(0), pass_on(connection, way));
    }
  }
}

Task<void> SlowLink::take(std::shared_ptr<Connection> connection, Way* way) {
  auto buffer = std::make_unique<Buffer>();
  std::size_t size = 0;
  do {
    size = co_await read_some(&way->from, buffer.get());
    Time due = std::chrono::steady_clock::now() + (way == &connection->to_server ? delay_requests_ : delay_).load();
    way->under_way.emplace_back(due, std::string(buffer->data(), size));
    way->wake.raise();
  } while (size > 0);
}

Task<void> SlowLink::pass_on(std::shared_ptr<Connection> connection, Way* way) {
  asio::steady_timer timer(threads_.executor(0));
  while (!connection->closed) {
    if (way->under_way.empty()) {
      co_await way->wake.wait();
      continue;
    }
    auto [due, data] = std::move(way->under_way.front());
    way->under_way.pop_front();
    timer.expires_at(due);
    co_await timer.async_wait(use_task);
    if (data.empty()) break;
    bool open = co_await write(&way->to, data.data(), data.size());
    if (!open) break;
    if (way == &connection->to_server) delivered_ += data.size();
  }
  connection->close();
}

}  // namespace sharedlock::test
