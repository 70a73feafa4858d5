#include "load/server_cpu.h"

#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <chrono>
#include <istream>
#include <iterator>

namespace sharedlock::bench {

std::optional<double> server_cpu_seconds(const Target& target) {
  boost::asio::ip::tcp::iostream server;
  server.expires_after(std::chrono::seconds(2));
  server.connect(target.host, std::to_string(target.port));
  server << "GET /metrics HTTP/1.0\r\nHost: " << target.host_header << "\r\n\r\n" << std::flush;
  std::string text{std::istreambuf_iterator<char>(server), {}};
  return cpu_seconds_in(text);
}

std::optional<double> cpu_seconds_in(std::string_view metrics) {
  constexpr std::string_view kName = "\nprocess_cpu_seconds_total ";
  std::size_t at = metrics.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  metrics.remove_prefix(at + kName.size());
  double seconds = 0;
  auto parsed = std::from_chars(metrics.data(), metrics.data() + metrics.size(), seconds);
  if (parsed.ec != std::errc()) return std::nullopt;
  return seconds;
}

}  // namespace sharedlock::bench
