#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/task.h"

namespace sharedlock::http {

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;

// Opens `acceptor`, binds it and listens; returns the port that is bound. `address` is an IP address ("::1" or "[::1]"
// as well as "127.0.0.1"), or empty for all interfaces: IPv6 dual-stack where there is IPv6, else IPv4. `port` 0 lets
// the kernel choose. On failure `acceptor` is closed, and the error (invalid_argument) is a sentence with the address.
Result<std::uint16_t> listen(Acceptor& acceptor, const std::string& address, std::uint16_t port);

// From now on the kernel ignores new handshakes; those already begun still complete, and can be accepted. So closing
// the socket a little later resets no connection. The kernel of an ignored client retries after a second by itself.
// False, with nothing changed, when our kernel refuses.
bool ignore_new_handshakes(Acceptor& acceptor);

}  // namespace sharedlock::http
