#include "client/tls_front.h"

#include <array>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "base/use_task.h"

namespace sharedlock::test {

namespace {

using tcp = asio::ip::tcp;
using Buffer = std::array<char, 16384>;

// Until one of them ends.
template <class From, class To>
Task<void> pass(From* from, To* to) {
  auto buffer = std::make_unique<Buffer>();
  boost::system::error_code error;
  while (!error) {
    auto size = co_await from->async_read_some(asio::buffer(*buffer), error_to(error));
    if (!error) {
      co_await asio::async_write(*to, asio::buffer(buffer->data(), size), error_to(error));
    }
  }
}

}  // namespace

struct TlsFront::Connection {
  Connection(tcp::socket from, asio::ssl::context& tls, const Executor& executor)
      : client(std::move(from), tls), server(executor) {}

  void close() {
    boost::system::error_code ignored;
    client.next_layer().close(ignored);
    server.close(ignored);
  }

  asio::ssl::stream<tcp::socket> client;
  tcp::socket server;
};

TlsFront::TlsFront(std::uint16_t server, const PemPair& identity)
    : server_(asio::ip::address_v4::loopback(), server),
      acceptor_(threads_.executor(0), tcp::endpoint(server_.address(), 0)) {
  tls_.use_certificate_chain(asio::buffer(identity.certificate));
  tls_.use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
  tasks_.spawn(threads_.executor(0), accept_all());
}

TlsFront::~TlsFront() {
  tasks_.spawn(threads_.executor(0), end());
  tasks_.join();
}

Task<void> TlsFront::end() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const auto& connection : connections_) connection->close();
  co_return;
}

Task<void> TlsFront::accept_all() {
  while (true) {
    boost::system::error_code error;
    auto client = co_await acceptor_.async_accept(error_to(error));
    if (error) co_return;
    auto connection = std::make_shared<Connection>(std::move(client), tls_, threads_.executor(0));
    connections_.insert(connection);
    tasks_.spawn(threads_.executor(0), serve(connection));
  }
}

Task<void> TlsFront::serve(std::shared_ptr<Connection> connection) {
  boost::system::error_code error;
  co_await connection->client.async_handshake(asio::ssl::stream_base::server, error_to(error));
  if (!error) co_await connection->server.async_connect(server_, error_to(error));
  if (!error) {
    tasks_.spawn(threads_.executor(0), pass_back(connection));
    co_await pass(&connection->client, &connection->server);
  }
  connection->close();
  connections_.erase(connection);
}

Task<void> TlsFront::pass_back(std::shared_ptr<Connection> connection) {
  co_await pass(&connection->server, &connection->client);
  connection->close();
}

}  // namespace sharedlock::test
