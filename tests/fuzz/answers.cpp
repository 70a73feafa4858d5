#include "fuzz/answers.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <map>

#include "fuzz/target.h"

namespace sharedlock::fuzz {

namespace {

constexpr std::string_view kVersion = "HTTP/1.1 ";

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string_view take_line(std::string_view& text) {
  std::size_t end = text.find("\r\n");
  require(end != std::string_view::npos, "each line of a head has an end");
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 2);
  require(is_printable(line), "a head holds only printable characters");
  return line;
}

int number_in(std::string_view text) {
  int number = -1;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  require(failed == std::errc() && end == text.data() + text.size() && number >= 0, "a number is one");
  return number;
}

int take_status(std::string_view& text) {
  std::string_view line = take_line(text);
  require(line.starts_with(kVersion) && line.size() > 13 && line[12] == ' ', "a status line has version and reason");
  require(line.substr(13) != "Unknown", "every status that is sent has a phrase");
  return number_in(line.substr(9, 3));
}

using Headers = std::map<std::string, std::string, std::less<>>;

Headers take_headers(std::string_view& text) {
  Headers headers;
  for (std::string_view line = take_line(text); !line.empty(); line = take_line(text)) {
    std::size_t colon = line.find(": ");
    require(colon != std::string_view::npos && colon > 0, "a header line has a name and a value");
    std::string_view name = line.substr(0, colon);
    require(name.find(' ') == std::string_view::npos, "a header's name has no space");
    require(headers.emplace(name, line.substr(colon + 2)).second, "no header comes twice");
  }
  return headers;
}

// The body is left out for HEAD: what follows is then the next response, or nothing. No body of ours looks like one.
std::string take_body(const Headers& headers, std::string_view& text) {
  auto length = static_cast<std::size_t>(number_in(headers.at("Content-Length")));
  if (text.empty() || text.starts_with(kVersion)) return {};
  require(text.size() >= length, "a body is as long as was announced");
  std::string body(text.substr(0, length));
  text.remove_prefix(length);
  return body;
}

void check_json(const Headers& headers, const std::string& body) {
  auto type = headers.find("Content-Type");
  if (type == headers.end() || type->second != "application/json" || body.empty()) return;
  boost::system::error_code failed;
  boost::json::parse(body, failed);
  require(!failed, "a body that is called JSON is JSON");
}

Answer take_answer(std::string_view& text) {
  Answer answer;
  answer.status = take_status(text);
  Headers headers = take_headers(text);
  if (answer.status < 200) {
    require(answer.status == 100 && headers.empty(), "the only interim answer is a bare 100");
    return answer;
  }
  require(headers.contains("Date") && headers.contains("X-Request-Id"), "each answer has a date and an id");
  bool may_have_body = answer.status != 204 && answer.status != 304;
  require(headers.contains("Content-Length") == may_have_body, "an answer has a length if it may have a body");
  if (may_have_body) answer.body = take_body(headers, text);
  check_json(headers, answer.body);
  auto connection = headers.find("Connection");
  answer.closes = connection != headers.end() && connection->second == "close";
  return answer;
}

}  // namespace

std::vector<Answer> take_apart(std::string_view sent) {
  std::vector<Answer> answers;
  while (!sent.empty()) {
    Answer answer = take_answer(sent);
    require(!answer.closes || sent.empty(), "nothing follows an answer that closes the connection");
    if (answer.status >= 200) answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace sharedlock::fuzz
