#include "http/listen.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <boost/asio/ip/v6_only.hpp>
#include <iterator>
#include <string_view>

#include "http/text.h"

namespace sharedlock::http {

using asio::ip::tcp;
using boost::system::error_code;

namespace {

std::string name_of(const tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return host + ":" + std::to_string(endpoint.port());
}

Error cannot_listen(const std::string& where, std::string why) {
  if (!why.empty()) why[0] = to_lower(why[0]);
  return {Errc::invalid_argument, "can't listen on " + where + ": " + why};
}

error_code try_to_listen(Acceptor& acceptor, const tcp::endpoint& endpoint, bool dual_stack) {
  error_code failed;
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && dual_stack) acceptor.set_option(asio::ip::v6_only(false), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  // Two sockets that both reuse addresses may bind one port; only one of them may listen.
  if (!failed) acceptor.listen(tcp::acceptor::max_listen_connections, failed);
  if (failed) {
    error_code ignored;
    acceptor.close(ignored);
  }
  return failed;
}

bool is_lack_of_ipv6(error_code failed) {
  return failed == asio::error::address_family_not_supported || failed == boost::system::errc::address_not_available ||
         failed == boost::system::errc::protocol_not_supported;
}

}  // namespace

Result<std::uint16_t> listen(Acceptor& acceptor, const std::string& address, std::uint16_t port) {
  tcp::endpoint endpoint(tcp::v6(), port);
  if (!address.empty()) {
    bool bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
    error_code malformed;
    auto parsed = asio::ip::make_address(bracketed ? address.substr(1, address.size() - 2) : address, malformed);
    if (malformed) return cannot_listen(address + ":" + std::to_string(port), "not an IP address");
    endpoint = {parsed, port};
  }
  error_code failed = try_to_listen(acceptor, endpoint, address.empty());
  if (address.empty() && is_lack_of_ipv6(failed)) {
    endpoint = {tcp::v4(), port};
    failed = try_to_listen(acceptor, endpoint, false);
  }
  if (failed) return cannot_listen(name_of(endpoint), failed.message());
  error_code unknown;
  return acceptor.local_endpoint(unknown).port();
}

bool ignore_new_handshakes(Acceptor& acceptor) {
  constexpr int kFlags = 13;  // their offset in a TCP header
  constexpr int kSyn = 2;
  constexpr std::uint32_t kWhole = 0xffffffff;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, kWhole),
  };
  sock_fprog filter{std::size(program), program};
  return ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

}  // namespace sharedlock::http
