#include "http/message.h"

#include <algorithm>

#include "base/text_writer.h"
#include "http/text.h"

namespace sharedlock::http {

namespace {

// Begins a header line behind those in `lines`; ends where its value goes, with room for that.
TextWriter begin_line(std::string& lines, std::string_view name, std::size_t value_size) {
  constexpr std::string_view kAround = ": \r\n";
  std::size_t written = lines.size();
  lines.resize(written + name.size() + value_size + kAround.size());
  return TextWriter(lines.data() + written).text(name).text(": ");
}

void end_line(std::string& lines, TextWriter line) {
  const char* end = line.text("\r\n").end();
  lines.resize(static_cast<std::size_t>(end - lines.data()));
}

}  // namespace

std::string_view name_of(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::delete_:
      return "DELETE";
    case Method::patch:
      return "PATCH";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      return "?";
  }
  return "?";
}

Method method_called(std::string_view name) {
  using enum Method;
  for (Method method : {get, post, head, put, delete_, patch, options}) {
    if (name == name_of(method)) return method;
  }
  return other;
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (equal_ignoring_case(header.name, name)) return header.value;
  }
  return std::nullopt;
}

void Response::add_header(std::string_view name, std::string_view value) {
  constexpr std::string_view kUnsafe("\r\n\0", 3);
  if (value.find_first_of(kUnsafe) == std::string_view::npos) return add_line(name, value);
  std::string safe(value);
  std::erase_if(safe, [&](char c) { return kUnsafe.find(c) != std::string_view::npos; });
  add_line(name, safe);
}

void Response::add_header(std::string_view name, std::int64_t value) {
  if (number_count_ < numbers_.size()) {
    numbers_[number_count_++] = {name, value};
    return;
  }
  TextWriter line = begin_line(header_lines_, name, TextWriter::kLongestNumber);
  end_line(header_lines_, line.number(value));
}

void Response::add_line(std::string_view name, std::string_view value) {
  TextWriter line = begin_line(header_lines_, name, value.size());
  end_line(header_lines_, line.text(value));
}

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  static constexpr Phrase kPhrases[] = {
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {423, "Locked"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  auto found = std::ranges::lower_bound(kPhrases, status, {}, &Phrase::status);
  return found != std::end(kPhrases) && found->status == status ? found->text : "Unknown";
}

}  // namespace sharedlock::http
