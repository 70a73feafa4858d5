#include "api/flat_scan.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include "base/text_run.h"

namespace sharedlock {

namespace {

constexpr std::size_t kMostScannedMembers = 8;  // more than a body of either API needs

constexpr std::array<bool, 256> kStandsForItself = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0x20; c < 0x80; ++c) table[c] = c != '"' && c != '\\';
  return table;
}();

// In a JSON string. Beyond ASCII, it would have to be checked for being UTF-8.
bool stands_for_itself(char c) {
  return kStandsForItself[static_cast<unsigned char>(c)];
}

// Goes over the text once. Each function takes what it names off the front, with the white space before it, and returns
// false where something else stands there: the scan is over then.
class FlatScan {
 public:
  explicit FlatScan(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool take_body(std::vector<JsonMember>& members) {
    if (!take('{')) return false;
    if (take('}')) return take_end();
    do {
      if (members.size() == kMostScannedMembers || !take_member(members.emplace_back())) return false;
    } while (take(','));
    return take('}') && take_end();
  }

 private:
  bool take_member(JsonMember& member) { return take_string(member.name) && take(':') && take_value(member); }

  bool take_value(JsonMember& member) {
    skip_space();
    if (at_ == end_) return false;
    switch (*at_) {
      case '"':
        member.kind = JsonKind::string;
        return take_string(member.text);
      case '[':
        member.kind = JsonKind::array;
        return take_strings(member);
      case 't':
        member.kind = JsonKind::boolean;
        return take_word("true");
      case 'f':
        member.kind = JsonKind::boolean;
        return take_word("false");
      case 'n':
        member.kind = JsonKind::null;
        return take_word("null");
      default:
        member.kind = JsonKind::integer;
        return take_integer(member);
    }
  }

  bool take_strings(JsonMember& array) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (array.items.size() == kMostJsonItems) return false;
      JsonItem& item = array.items.emplace_back();
      item.kind = JsonKind::string;
      if (!take_string(item.text)) return false;
    } while (take(','));
    array.length = array.items.size();
    return take(']');
  }

  bool take_string(std::string_view& text) {
    if (!take('"')) return false;
    std::string_view rest(at_, end_);
    text = rest.substr(0, run_length<stands_for_itself, are_plain_in_json>(rest));
    at_ += text.size();
    if (at_ == end_ || *at_ != '"') return false;
    ++at_;
    return true;
  }

  // Only digits: where they go on as `.5` or `e3`, no comma or brace follows, and so the scan ends.
  bool take_integer(JsonMember& member) {
    std::int64_t value = 0;
    auto [end, failed] = std::from_chars(at_, end_, value);
    bool needless_zero = *at_ == '0' && end - at_ > 1;
    if (failed != std::errc() || *at_ == '-' || needless_zero) return false;
    member.integer = value;
    at_ = end;
    return true;
  }

  bool take_word(std::string_view word) {
    if (!std::string_view(at_, end_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool take(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool take_end() {
    skip_space();
    return at_ == end_;
  }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  const char* at_;
  const char* end_;
};

}  // namespace

std::optional<JsonBody> scan_flat(std::string_view text) {
  std::optional<JsonBody> body(std::in_place);
  body->kind = JsonKind::object;
  body->members.reserve(kMostScannedMembers);
  if (!FlatScan(text).take_body(body->members)) body.reset();
  return body;
}

}  // namespace sharedlock
