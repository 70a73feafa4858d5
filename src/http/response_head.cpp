#include "http/response_head.h"

#include <algorithm>
#include <cstdio>

#include "base/text_writer.h"

namespace sharedlock::http {

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
  constexpr std::size_t kOurOwn = 144;  // enough for all that is written below besides these texts
  constexpr std::size_t kAroundNumber = std::string_view(": \r\n").size() + TextWriter::kLongestNumber;
  std::string_view phrase = reason_phrase(response.status());
  std::string_view type = response.content_type();
  std::string_view lines = response.header_lines();
  std::size_t numbers = 0;
  for (const NumberHeader& header : response.number_headers()) numbers += header.name.size() + kAroundNumber;
  std::size_t written = out.size();
  out.resize(written + kOurOwn + phrase.size() + facts.date.size() + type.size() + facts.request_id.size() + numbers +
             lines.size());
  TextWriter head(out.data() + written);
  head.text("HTTP/1.1 ").number(response.status()).text(" ").text(phrase).text("\r\nDate: ").text(facts.date);
  if (may_have_body(response.status())) {
    if (!type.empty()) head.text("\r\nContent-Type: ").text(type);
    head.text("\r\nContent-Length: ").number(static_cast<std::int64_t>(response.body().size()));
  }
  head.text("\r\nX-Request-Id: ").text(facts.request_id);
  if (facts.connection == ConnectionHeader::close) head.text("\r\nConnection: close");
  if (facts.connection == ConnectionHeader::keep_alive) head.text("\r\nConnection: keep-alive");
  head.text("\r\n");
  for (const NumberHeader& header : response.number_headers()) {
    head.text(header.name).text(": ").number(header.value).text("\r\n");
  }
  head.text(lines).text("\r\n");
  out.resize(static_cast<std::size_t>(head.end() - out.data()));
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
