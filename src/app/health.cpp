#include "app/health.h"

#include <boost/asio/ip/tcp.hpp>
#include <cstdio>
#include <iostream>
#include <string>

namespace sharedlock {

namespace {

// Where a server that listens on `address` can be reached from its own machine.
std::string reachable(const std::string& address) {
  if (address.empty() || address == "0.0.0.0") return "127.0.0.1";
  return address == "::" ? "::1" : address;
}

int no_answer(const std::string& host, unsigned port, const boost::system::error_code& error) {
  if (error) {
    std::fprintf(stderr, "shared-lock: no answer from %s port %u: %s\n", host.c_str(), port, error.message().c_str());
  } else {
    std::fprintf(stderr, "shared-lock: %s port %u answers, but not in HTTP\n", host.c_str(), port);
  }
  return 1;
}

}  // namespace

int health(const config::Settings& settings) {
  std::string host = reachable(settings.server_address);
  boost::asio::ip::tcp::iostream server;
  server.expires_after(std::chrono::seconds(3));
  server.connect(host, std::to_string(settings.server_port));
  server << "GET /ready HTTP/1.0\r\nHost: " + host + "\r\n\r\n" << std::flush;  // sent at once

  std::string http_version;
  int status = 0;
  if (!(server >> http_version >> status)) {
    return no_answer(host, settings.server_port, server.error());
  }
  if (status == 200) return 0;
  std::string line;
  while (std::getline(server, line) && line != "\r") {
  }
  std::getline(server, line);
  std::fprintf(stderr, "shared-lock: %s port %u answers %d: %s\n", host.c_str(), settings.server_port, status,
               line.c_str());
  return 1;
}

}  // namespace sharedlock
