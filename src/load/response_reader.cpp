#include "load/response_reader.h"

#include <algorithm>
#include <charconv>

namespace sharedlock::bench {

namespace {

bool has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

// `lower` is in lower case.
bool equals_without_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

bool starts_with_name(std::string_view line, std::string_view name) {
  return equals_without_case(line.substr(0, name.size()), name);
}

std::string_view trimmed(std::string_view text) {
  auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

std::span<char> ResponseReader::space() {
  if (size_ < buffer_.size()) return std::span(buffer_).subspan(size_);
  // The rest of a long body: read over its own beginning, of which the first half stays.
  return std::span(buffer_).subspan(buffer_.size() / 2);
}

ResponseReader::Progress ResponseReader::received(std::size_t count) {
  if (size_ < buffer_.size()) {
    size_ += count;
  } else {
    overflowed_ += count;
  }
  if (head_size_ == 0) {
    std::string_view text(buffer_.data(), size_);
    std::size_t searched = size_ - count;
    std::size_t end = text.find("\r\n\r\n", searched < 3 ? 0 : searched - 3);
    if (end == std::string_view::npos) return size_ < buffer_.size() ? Progress::more : Progress::malformed;
    head_size_ = end + 4;
    if (!read_head(text.substr(0, end + 2))) return Progress::malformed;
  }
  return progress();
}

ResponseReader::Progress ResponseReader::progress() const {
  std::size_t come = size_ - head_size_ + overflowed_;
  if (come > body_size_) return Progress::malformed;
  // A head that fills the buffer leaves no half of it for reading a body.
  if (come < body_size_ && head_size_ > buffer_.size() / 2) return Progress::malformed;
  return come == body_size_ ? Progress::complete : Progress::more;
}

bool ResponseReader::read_head(std::string_view head) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kStatusAt = kVersion.size() + 2;
  if (!head.starts_with(kVersion) || head.size() < kStatusAt + 3 || head[kStatusAt - 1] != ' ') return false;
  const char* digits = head.data() + kStatusAt;
  if (std::from_chars(digits, digits + 3, status_).ptr != digits + 3) return false;

  body_size_ = static_cast<std::size_t>(-1);
  head.remove_prefix(head.find('\n') + 1);
  while (!head.empty()) {
    std::size_t end = head.find('\n');
    if (!read_line(head.substr(0, end))) return false;
    head.remove_prefix(end + 1);
  }
  if (!has_body(status_)) body_size_ = 0;
  return body_size_ != static_cast<std::size_t>(-1);
}

// False for answers that this reader can't parse.
bool ResponseReader::read_line(std::string_view line) {
  static constexpr std::string_view kLength = "content-length:";
  static constexpr std::string_view kConnection = "connection:";
  switch (line.front() | 0x20) {  // lower case
    case 'c':
      if (starts_with_name(line, kLength)) {
        std::string_view value = trimmed(line.substr(kLength.size()));
        return !value.empty() && std::from_chars(value.data(), value.data() + value.size(), body_size_).ptr ==
                                     value.data() + value.size();
      }
      if (starts_with_name(line, kConnection)) {
        close_ = equals_without_case(trimmed(line.substr(kConnection.size())), "close");
      }
      return true;
    case 't':
      return !starts_with_name(line, "transfer-encoding:");
    default:
      return true;
  }
}

std::string_view ResponseReader::body() const {
  return std::string_view(buffer_.data(), std::min(size_, head_size_ + body_size_)).substr(head_size_);
}

void ResponseReader::next() {
  size_ = 0;
  head_size_ = 0;
  body_size_ = 0;
  overflowed_ = 0;
  close_ = false;
}

}  // namespace sharedlock::bench
