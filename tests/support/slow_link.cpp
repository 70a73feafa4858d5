#include "support/slow_link.h"

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <utility>

#include "base/signal.h"

namespace sharedlock::test {

namespace {

using tcp = boost::asio::ip::tcp;
using Time = std::chrono::steady_clock::time_point;
using Buffer = std::array<char, 16384>;

Task<std::size_t> read_some(tcp::socket* from, Buffer* buffer) {
  boost::system::error_code error;
  auto read = co_await from->async_read_some(asio::buffer(*buffer), asio::redirect_error(use_task, error));
  co_return error ? 0 : read;
}

Task<bool> write(tcp::socket* to, const char* data, std::size_t size) {
  boost::system::error_code error;
  co_await asio::async_write(*to, asio::buffer(data, size), asio::redirect_error(use_task, error));
  co_return !error;
}

}  // namespace

struct SlowLink::Connection {
  Connection(tcp::socket from, const Executor& executor) : client(std::move(from)), server(executor), wake(executor) {}

  void close() {
    boost::system::error_code ignored;
    client.close(ignored);
    server.close(ignored);
    closed = true;
    wake.raise();
  }

  tcp::socket client;
  tcp::socket server;
  std::deque<std::pair<Time, std::string>> on_the_way;  // what has come from the server, and when it is due
  Signal wake;
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
    auto client = co_await acceptor_.async_accept(asio::redirect_error(use_task, error));
    if (error) co_return;
    auto connection = std::make_shared<Connection>(std::move(client), threads_.executor(0));
    co_await connection->server.async_connect(server_, asio::redirect_error(use_task, error));
    if (error) continue;
    connections_.push_back(connection);
    tasks_.spawn(threads_.executor(0), pass_to_server(connection));
    tasks_.spawn(threads_.executor(0), take_from_server(connection));
    tasks_.spawn(threads_.executor(0), pass_to_client(connection));
  }
}

Task<void> SlowLink::pass_to_server(std::shared_ptr<Connection> connection) {
  auto buffer = std::make_unique<Buffer>();
  bool open = true;
  while (open) {
    auto size = co_await read_some(&connection->client, buffer.get());
    open = size > 0;
    if (open) open = co_await write(&connection->server, buffer->data(), size);
  }
  connection->close();
}

Task<void> SlowLink::take_from_server(std::shared_ptr<Connection> connection) {
  auto buffer = std::make_unique<Buffer>();
  while (true) {
    auto size = co_await read_some(&connection->server, buffer.get());
    Time due = std::chrono::steady_clock::now() + delay_.load();
    connection->on_the_way.emplace_back(due, std::string(buffer->data(), size));  // empty: the end
    connection->wake.raise();
    if (size == 0) break;
  }
}

Task<void> SlowLink::pass_to_client(std::shared_ptr<Connection> connection) {
  asio::steady_timer timer(threads_.executor(0));
  while (!connection->closed) {
    if (connection->on_the_way.empty()) {
      co_await connection->wake.wait();
      continue;
    }
    auto [due, data] = std::move(connection->on_the_way.front());
    connection->on_the_way.pop_front();
    timer.expires_at(due);
    co_await timer.async_wait(use_task);
    if (data.empty()) break;
    bool open = co_await write(&connection->client, data.data(), data.size());
    if (!open) break;
  }
  connection->close();
}

}  // namespace sharedlock::test
