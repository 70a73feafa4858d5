#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::fuzz {

struct Framed {
  std::string target;  // what stands between the first and the last space of the request line
  std::string body;    // decoded
};

struct Framing {
  std::vector<Framed> requests;  // the complete ones, with ends on which all parsers must agree
  bool rest_is_unclear = false;  // behind them: a server has to refuse it, once, and to close
};

// Where requests begin and end in what a client sent, by RFC 9112 alone and without the server's code: a second
// opinion, since request smuggling needs a server that finds other requests than the proxy before it. Knows no limits.
Framing frame(std::string_view input);

}  // namespace sharedlock::fuzz
