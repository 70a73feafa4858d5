#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace sharedlock::http {

// Why a request can't be read any further: the answer to send before the connection is closed.
struct Refusal {
  int status = 0;
  std::string_view reason;  // a literal
};

// How much of a header and of a body we read, in bytes.
struct ParserLimits {
  std::size_t header;  // request line and headers; and again for the framing and trailers of a chunked body
  std::size_t body;    // decoded
};

// Turns bytes into one request after another. An ordinary header that comes in one piece is scanned (head_scan.h). All
// others, and chunked bodies, are read in the strict way: the HTTP/1.x grammar is Beast's; in addition everything is
// refused on which two parsers could disagree (request smuggling): any Transfer-Encoding but `chunked`, more than one
// Content-Length, folded lines, control characters in chunk extensions. More than 128 header lines are refused (431).
// Trailers are read and discarded. Keeps the memory of ordinary requests, at most some 3 KiB, from one to the next. It
// does no I/O: the caller passes in what it has, and passes in unused bytes again, with more behind them.
class RequestParser {
 public:
  // How headers are read. It makes no difference but in time and in kept(): tests compare the two.
  enum class Mode { ordinary_first, always_strict };
  enum class Step { need_more, complete, refused };
  struct Progress {
    std::size_t used;  // bytes that the caller must not pass in again
    Step step;
  };
  enum class Expectation { none, continue_, unknown };

  explicit RequestParser(ParserLimits limits, Mode mode = Mode::ordinary_first);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  ~RequestParser();

  // Forgets the request: the next byte begins another. Invalidates every view given out, and frees the memory of a
  // large request.
  void reset();

  // Reads up to the end of the header. Empty lines before the request line are skipped.
  Progress parse_header(std::string_view bytes);

  // Reads the body, after the header is complete; complete at once if there is none. More than the limit: 413.
  Progress parse_body(std::string_view bytes);

  // How many bytes of the present request are stored here.
  std::size_t kept() const;

  // Whether part of a request has been used already.
  bool begun() const;

  // Why the last step was `refused`.
  Refusal refusal() const;

  // About the header, once it is complete. The views live until reset().
  Method method() const;
  std::string_view method_name() const;
  std::string_view target() const;
  std::span<const Header> headers() const;
  bool http11() const;
  bool keep_alive() const;  // the client's wish, by version and Connection
  bool has_body() const;
  std::optional<std::uint64_t> content_length() const;
  Expectation expectation() const;  // `none` in HTTP/1.0, which does not know it

  // The body as read so far.
  std::string_view body() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sharedlock::http
