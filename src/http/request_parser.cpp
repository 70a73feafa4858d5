#include "http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <functional>

#include "http/head_scan.h"
#include "http/request_notes.h"
#include "http/text.h"

namespace sharedlock::http {

namespace {

namespace beast = boost::beast;
using beast::http::error;
using beast::http::field;
using boost::system::error_code;

// Some old clients send one empty line after a body; more before a request line are something else.
constexpr int kMaxEmptyLines = 8;

// The shortest end of a chunked body: a chunk of size 0, and an empty line. Beast aborts when it has seen that size and
// then sees less.
constexpr std::size_t kLastChunkSize = 5;

Refusal refusal_for(error_code failed) {
  if (failed == error::header_limit) return {431, "request header too large"};
  if (failed == error::bad_method) return {400, "malformed method"};
  if (failed == error::bad_target) return {400, "malformed request target"};
  if (failed == error::bad_version) return {400, "malformed or unsupported HTTP version"};
  if (failed == error::bad_field) return {400, "malformed header name"};
  if (failed == error::bad_value) return {400, "malformed header value"};
  if (failed == error::bad_line_ending) return {400, "lines must end with CR LF"};
  if (failed == error::bad_content_length) return {400, "bad Content-Length"};
  if (failed == error::multiple_content_length) return {400, "more than one Content-Length"};
  if (failed == error::bad_transfer_encoding) return {400, "bad Transfer-Encoding"};
  if (failed == error::bad_chunk) return {400, "malformed chunk"};
  if (failed == error::bad_chunk_extension) return {400, "malformed chunk extension"};
  return {400, "malformed request"};
}

// No client of ours sends more than twenty; each costs us 64 bytes, even one of three bytes.
constexpr std::size_t kMaxHeaderLines = 128;

// As much of a body as may come with its header.
constexpr std::size_t kReservedBody = 4096;

bool is_control(char c) {
  auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

// Beast's grammar, with our notes and extra checks.
class Grammar final : public beast::http::basic_parser<true> {
 public:
  Grammar(RequestNotes& notes, ParserLimits limits) : notes_(notes), limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.header));
    body_limit(boost::none);  // ours counts, because a too large body must not hide what the header says
  }

  // Where the bytes being parsed are, to recognise a folded value, which Beast unfolds elsewhere.
  std::string_view input;

 private:
  void refuse(int status, std::string_view reason, error_code& failed) {
    notes_.refusal = Refusal{status, reason};
    failed = error::bad_value;
  }

  bool is_folded(beast::string_view name, beast::string_view value) const {
    std::less<const char*> before;
    if (before(value.data(), input.data()) || before(input.data() + input.size(), value.data())) return true;
    const char* colon = name.data() + name.size();
    return std::find(colon, value.data(), '\r') != value.data();
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       error_code&) override {
    notes_.method = method_called({method.data(), method.size()});
    notes_.method_name = notes_.keep(method);
    notes_.target = notes_.keep(target);
    notes_.http11 = version == 11;
  }

  void on_field_impl(field known, beast::string_view name, beast::string_view value, error_code& failed) override {
    if (is_folded(name, value)) return refuse(400, "folded header line", failed);
    if (notes_.header_complete) return;  // a trailer
    if (notes_.fields.size() == kMaxHeaderLines) return refuse(431, "too many header lines", failed);
    check_field(known, value, failed);
    if (failed) return;
    auto kept = notes_.keep(name);
    notes_.fields.emplace_back(kept, notes_.keep(value));
  }

  void check_field(field known, beast::string_view value, error_code& failed) {
    std::string_view text(value.data(), value.size());
    if (known == field::transfer_encoding) {
      if (!notes_.http11) return refuse(400, "Transfer-Encoding in HTTP/1.0", failed);
      if (!equal_ignoring_case(text, "chunked")) return refuse(400, "unsupported Transfer-Encoding", failed);
    } else if (known == field::content_length) {
      if (++notes_.content_lengths > 1) return refuse(400, "more than one Content-Length", failed);
      bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
      if (!digits) return refuse(400, "bad Content-Length", failed);
    } else if (known == field::host) {
      if (++notes_.hosts > 1) return refuse(400, "more than one Host", failed);
    } else if (known == field::expect && notes_.http11) {
      using enum RequestParser::Expectation;
      bool is_known = equal_ignoring_case(text, "100-continue") && notes_.expectation != unknown;
      notes_.expectation = is_known ? continue_ : unknown;
    }
  }

  void on_header_impl(error_code& failed) override {
    if (notes_.http11 && notes_.hosts == 0) return refuse(400, "missing Host", failed);
    notes_.header_complete = true;
    notes_.keep_alive = keep_alive();
    if (auto length = content_length()) notes_.content_length = *length;
    for (auto& [name, value] : notes_.fields) {
      notes_.headers.push_back({notes_.text(name), notes_.text(value)});
    }
  }

  void on_chunk_header_impl(std::uint64_t size, beast::string_view extension, error_code& failed) override {
    // Beast accepts them within quotes, where other parsers see the end of the line at a bare LF.
    if (std::ranges::any_of(extension, is_control)) return refuse(400, "malformed chunk extension", failed);
    if (size > limits_.body - notes_.body.size()) return refuse(413, "request body too large", failed);
    notes_.chunk_left = size;
  }

  std::size_t on_chunk_body_impl(std::uint64_t remain, beast::string_view bytes, error_code&) override {
    notes_.body.append(bytes.data(), bytes.size());
    notes_.chunk_left = remain - bytes.size();
    return bytes.size();
  }

  // A body with a length never comes here.
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view bytes, error_code&) override { return bytes.size(); }

  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  RequestNotes& notes_;
  ParserLimits limits_;
};

}  // namespace

class RequestParser::Impl {
 public:
  Impl(ParserLimits limits, Mode mode) : limits_(limits), mode_(mode) {}

  void reset() {
    notes.clear();
    grammar_.reset();
    begun = false;
    empty_lines_ = 0;
    header_bytes_ = framing_bytes_ = 0;
  }

  Progress parse_header(std::string_view bytes) {
    std::size_t skipped = begun ? 0 : skip_empty_lines(bytes);
    if (empty_lines_ > kMaxEmptyLines) return refuse(skipped, {400, "too many empty lines before the request"});
    bytes.remove_prefix(skipped);
    if (bytes.empty() || (!begun && bytes == "\r")) return {skipped, Step::need_more};
    std::size_t ordinary = begun ? 0 : take_ordinary_head(bytes);
    begun = true;
    if (ordinary > 0) return {skipped + ordinary, Step::complete};
    auto [used, step] = parse_strictly(bytes);
    return {skipped + used, step};
  }

  Progress parse_body(std::string_view bytes) { return is_chunked() ? parse_chunks(bytes) : parse_plain_body(bytes); }

  bool has_body() const {
    return notes.header_complete && !(is_chunked() ? grammar_->is_done() : plain_body_complete());
  }

  RequestNotes notes;
  bool begun = false;

 private:
  bool is_chunked() const { return grammar_ && grammar_->chunked(); }
  bool at_chunk_header() const { return notes.chunk_left == 0; }
  bool plain_body_complete() const { return notes.body.size() == notes.content_length.value_or(0); }

  // Its size; 0 if the header is not ordinary, or not all there.
  std::size_t take_ordinary_head(std::string_view bytes) {
    if (mode_ == Mode::always_strict) return 0;
    OrdinaryHead head;
    if (!scan_head(bytes.substr(0, limits_.header), head)) return 0;
    notes.keep(bytes, head);
    return head.size;
  }

  Progress parse_strictly(std::string_view bytes) {
    if (!grammar_) grammar_.emplace(notes, limits_);
    error_code failed;
    std::size_t used = put(bytes, failed);
    header_bytes_ += used;
    // Beast bounds only what it leaves unused, and it consumes line by line.
    std::size_t seen = header_bytes_ + (failed == error::need_more ? bytes.size() - used : 0);
    if (seen > limits_.header) failed = error::header_limit;
    if (failed == error::need_more) return {used, Step::need_more};
    if (failed) return refuse(used, refusal_for(failed));
    return {used, Step::complete};
  }

  // A body with a length, or none.
  Progress parse_plain_body(std::string_view bytes) {
    if (plain_body_complete()) return {0, Step::complete};
    if (bytes.empty()) return {0, Step::need_more};
    if (*notes.content_length > limits_.body) return refuse(0, {413, "request body too large"});
    auto length = static_cast<std::size_t>(*notes.content_length);
    // A mere announcement takes no memory.
    notes.body.reserve(std::min(length, kReservedBody));
    bytes = bytes.substr(0, length - notes.body.size());
    notes.body.append(bytes);
    return {bytes.size(), plain_body_complete() ? Step::complete : Step::need_more};
  }

  Progress parse_chunks(std::string_view bytes) {
    std::size_t total = 0;
    while (!grammar_->is_done()) {
      if (bytes.empty() || (at_chunk_header() && bytes.size() < kLastChunkSize)) return {total, Step::need_more};
      error_code failed;
      std::size_t before = notes.body.size();
      std::size_t used = put(bytes, failed);
      total += used;
      bytes.remove_prefix(used);
      if (failed && failed != error::need_more) return refuse(total, refusal_for(failed));
      // Beast bounds neither chunk extensions nor trailers, nor the headers of many small chunks.
      framing_bytes_ += used - (notes.body.size() - before);
      std::size_t framing = framing_bytes_ + (failed ? bytes.size() : 0);
      if (framing > limits_.header) return refuse(total, {400, "too much chunk framing or trailers"});
      if (failed) return {total, Step::need_more};
    }
    return {total, Step::complete};
  }

  std::size_t put(std::string_view bytes, error_code& failed) {
    grammar_->input = bytes;
    return grammar_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), failed);
  }

  Progress refuse(std::size_t used, Refusal refusal) {
    // A callback's note says more than the code by which it stopped Beast.
    if (!notes.refusal) notes.refusal = refusal;
    return {used, Step::refused};
  }

  std::size_t skip_empty_lines(std::string_view bytes) {
    std::size_t skipped = 0;
    while (bytes.substr(skipped).starts_with("\r\n") && empty_lines_ <= kMaxEmptyLines) {
      skipped += 2;
      ++empty_lines_;
    }
    return skipped;
  }

  ParserLimits limits_;
  Mode mode_;
  std::optional<Grammar> grammar_;  // for what is read strictly; a new one each time, since Beast's can't be reused
  int empty_lines_ = 0;
  std::size_t header_bytes_ = 0;
  std::size_t framing_bytes_ = 0;
};

RequestParser::RequestParser(ParserLimits limits, Mode mode) : impl_(std::make_unique<Impl>(limits, mode)) {}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  impl_->reset();
}

RequestParser::Progress RequestParser::parse_header(std::string_view bytes) {
  return impl_->parse_header(bytes);
}

RequestParser::Progress RequestParser::parse_body(std::string_view bytes) {
  return impl_->parse_body(bytes);
}

std::size_t RequestParser::kept() const {
  return impl_->notes.arena.size() + impl_->notes.body.size();
}

bool RequestParser::begun() const {
  return impl_->begun;
}

Refusal RequestParser::refusal() const {
  return impl_->notes.refusal.value_or(Refusal{});
}

Method RequestParser::method() const {
  return impl_->notes.method;
}

std::string_view RequestParser::method_name() const {
  return impl_->notes.text(impl_->notes.method_name);
}

std::string_view RequestParser::target() const {
  return impl_->notes.text(impl_->notes.target);
}

std::span<const Header> RequestParser::headers() const {
  return impl_->notes.headers;
}

bool RequestParser::http11() const {
  return impl_->notes.http11;
}

bool RequestParser::keep_alive() const {
  return impl_->notes.keep_alive;
}

bool RequestParser::has_body() const {
  return impl_->has_body();
}

std::optional<std::uint64_t> RequestParser::content_length() const {
  return impl_->notes.content_length;
}

RequestParser::Expectation RequestParser::expectation() const {
  return impl_->notes.expectation;
}

std::string_view RequestParser::body() const {
  return impl_->notes.body;
}

}  // namespace sharedlock::http
