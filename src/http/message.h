#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace sharedlock::http {

struct Peer;

enum class Method { get, head, post, put, delete_, patch, options, other };

// "GET", "POST", ...; "?" for other.
std::string_view name_of(Method method);

// The method with exactly that name; `other` if there is none.
Method method_called(std::string_view name);

struct Header {
  std::string_view name;
  std::string_view value;  // without surrounding white space
};

// A header of an answer, with a number as its value.
struct NumberHeader {
  std::string_view name;
  std::int64_t value = 0;
};

// The client that waits for the answer, for handlers that take long.
class Caller {
 public:
  // Has `told` called as soon as the client no longer waits: the peer has closed the connection, or its sending side,
  // or has vanished (noticed within 20 s), or the server stops. Once, on the session's thread, and never after the
  // handler has ended; maybe before this returns.
  virtual void on_disconnect(std::function<void()> told) = 0;

 protected:
  ~Caller() = default;
};

// One request as the session read it. A plain view: everything it points to belongs to the session and stays valid
// until the handler's coroutine has ended. Not thread-safe; it never leaves its session's thread.
struct Request {
  Method method = Method::other;
  std::string_view path;                     // still percent-encoded, without the query
  std::string_view query;                    // still percent-encoded, without the '?'; empty when there is none
  std::span<const std::string_view> params;  // the decoded values of the route's {…}, in the order of the pattern
  std::span<const Header> headers;           // in order of arrival
  std::string_view body;                     // whole, of any transfer coding; empty during Route::admit
  std::string_view id;                       // sent back as X-Request-Id
  BootTime received;                         // when the server began to handle it: its header was complete
  const Peer* peer = nullptr;                // the other end of the connection; for client_of() of client_address.h
  Caller* caller = nullptr;

  // The value of the first header of that name (compared without regard to case), if there is one.
  std::optional<std::string_view> header(std::string_view name) const;
};

// A handler's answer. The session adds Content-Length, Connection, Date and X-Request-Id.
class Response {
 public:
  Response() = default;
  explicit Response(int status) : status_(status) {}
  // `content_type` must be a literal: it is not copied.
  Response(int status, std::string_view content_type, std::string body)
      : status_(status), content_type_(content_type), body_(std::move(body)) {}

  int status() const { return status_; }
  std::string_view content_type() const { return content_type_; }
  const std::string& body() const { return body_; }

  // Adds a header line. Neither part may hold CR, LF or NUL: such bytes in `value` are dropped, so that an external
  // value can't start a line of its own.
  void add_header(std::string_view name, std::string_view value);
  // `name` must be a literal: it is not copied.
  void add_header(std::string_view name, std::int64_t value);

  // What was added so far: the first numbers, which are written as text only where the answer's head is, and before
  // the others; and all other lines, each ended by CR LF.
  std::span<const NumberHeader> number_headers() const { return std::span(numbers_).first(number_count_); }
  const std::string& header_lines() const { return header_lines_; }

  // Has `undo` called, on the session's thread, if the peer surely never gets this answer: it had disconnected, or the
  // connection broke, before the kernel had taken all of it.
  void if_undelivered(std::function<void()> undo) { undo_ = std::move(undo); }
  const std::function<void()>& undo() const { return undo_; }

 private:
  void add_line(std::string_view name, std::string_view value);

  static constexpr std::size_t kUsualNumbers = 2;  // a grant has a token and a ttl

  int status_ = 200;
  std::uint8_t number_count_ = 0;
  std::array<NumberHeader, kUsualNumbers> numbers_{};
  std::string_view content_type_;
  std::string body_;
  std::string header_lines_;
  std::function<void()> undo_;
};

inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
inline constexpr std::string_view kJson = "application/json";

// The standard phrase for a status code: "OK", "Locked", ...; "Unknown" for one that we never send.
std::string_view reason_phrase(int status);

}  // namespace sharedlock::http
