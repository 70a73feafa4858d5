#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace sharedlock::bench {

// Finds the end of each answer on a connection, and its status. It knows as much of HTTP/1.1 as our servers use: a body
// has a Content-Length, or its status has none. Of a body that does not fit, the beginning is kept. It allocates
// nothing. Not thread-safe.
class ResponseReader {
 public:
  enum class Progress { more, complete, malformed };

  // Where to receive next; never empty while more is expected.
  std::span<char> space();

  // `count` bytes came into space(). After `complete`, status(), body() and last_on_connection() hold until next().
  // Bytes behind the end of an answer are malformed: there was no request for them.
  Progress received(std::size_t count);

  int status() const { return status_; }
  std::string_view body() const;
  bool last_on_connection() const { return close_; }  // it said Connection: close

  // Ready for the next answer.
  void next();

 private:
  bool read_head(std::string_view head);
  bool read_line(std::string_view line);
  Progress progress() const;

  std::array<char, 4096> buffer_;
  std::size_t size_ = 0;        // in the buffer
  std::size_t head_size_ = 0;   // 0: not complete yet
  std::size_t body_size_ = 0;   // as announced
  std::size_t overflowed_ = 0;  // bytes of the body that did not fit
  int status_ = 0;
  bool close_ = false;
};

}  // namespace sharedlock::bench
