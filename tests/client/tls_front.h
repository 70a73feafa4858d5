#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/io_threads.h"
#include "base/task_group.h"
#include "support/test_certificates.h"

namespace sharedlock::test {

// TLS on 127.0.0.1 in front of a server that knows none, as a proxy gives it.
class TlsFront {
 public:
  TlsFront(std::uint16_t server, const PemPair& identity);
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;
  ~TlsFront();

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  struct Connection;
  Task<void> accept_all();
  Task<void> serve(std::shared_ptr<Connection> connection);
  Task<void> pass_back(std::shared_ptr<Connection> connection);
  Task<void> end();

  boost::asio::ip::tcp::endpoint server_;
  boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_server};
  IoThreads threads_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::set<std::shared_ptr<Connection>> connections_;
  TaskGroup tasks_;
};

}  // namespace sharedlock::test
