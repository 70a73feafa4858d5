#include "http/response_head.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace sharedlock::http {

namespace {

void append_number(std::string& out, std::size_t number) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

std::string_view DateText::at(WallTime now) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second == second_) return {text_.data(), size_};
  second_ = second;
  auto day = std::chrono::floor<std::chrono::days>(second);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss time(second - day);
  int size = std::snprintf(text_.data(), text_.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                           kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                           kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                           static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                           static_cast<int>(time.seconds().count()));
  size_ = static_cast<std::size_t>(size);
  return {text_.data(), size_};
}

bool may_have_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

void append_head(std::string& out, const Response& response, const HeadFacts& facts) {
  constexpr std::size_t kUsualSize = 256;
  out.reserve(out.size() + kUsualSize + response.header_lines().size());
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(response.status()));
  out += ' ';
  out += reason_phrase(response.status());
  out += "\r\nDate: ";
  out += facts.date;
  if (may_have_body(response.status())) {
    if (!response.content_type().empty()) {
      out += "\r\nContent-Type: ";
      out += response.content_type();
    }
    out += "\r\nContent-Length: ";
    append_number(out, response.body().size());
  }
  out += "\r\nX-Request-Id: ";
  out += facts.request_id;
  if (facts.connection == ConnectionHeader::close) out += "\r\nConnection: close";
  if (facts.connection == ConnectionHeader::keep_alive) out += "\r\nConnection: keep-alive";
  out += "\r\n";
  out += response.header_lines();
  out += "\r\n";
}

bool is_sane_request_id(std::string_view id) {
  static constexpr std::string_view kOthers = "._:-/+=@";
  constexpr std::size_t kLongest = 128;
  return !id.empty() && id.size() <= kLongest && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

}  // namespace sharedlock::http
