#pragma once

#include <boost/container/static_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace sharedlock::http {

// What scan_head() reads. The views are parts of the bytes that were scanned.
struct OrdinaryHead {
  static constexpr std::size_t kMostFields = 32;

  std::size_t size = 0;  // in bytes, with the empty line at the end
  Method method = Method::other;
  std::string_view target;
  boost::container::static_vector<Header, kMostFields> fields;  // in order of arrival
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
};

// Reads an ordinary request's head, from the method to the empty line, in one pass and without an allocation. Ordinary
// is: HTTP/1.1; a method that has a name in message.h; a target of visible ASCII; fields with names of letters, digits,
// `-` and `_` only, and values of printable ASCII and tabs; Host; at most one Content-Length and one Connection,
// `close` or `keep-alive`; no other field that decides how a request is read (Transfer-Encoding, Expect,
// Proxy-Connection); at most 32 fields.
//
// False if `bytes` don't begin with such a head, or if it is not all there. That is no verdict: `head` then means
// nothing, and the strict way of request_parser.cpp decides, from the same bytes. It must accept all that is accepted
// here, with the same result; tests/fuzz/head_fuzz.cpp looks for a difference. `head` must be new.
bool scan_head(std::string_view bytes, OrdinaryHead& head);

}  // namespace sharedlock::http
