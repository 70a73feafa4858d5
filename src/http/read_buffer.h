#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace sharedlock::http {

// Received bytes that are not used yet, in one piece. Grows only as far as its user leaves bytes unused, and stays that
// large until shrink().
class ReadBuffer {
 public:
  std::string_view bytes() const { return {data_.data() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }

  void consume(std::size_t count) {
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void clear() { begin_ = end_ = 0; }

  // Where to put the next bytes; commit() says how many have arrived. Moves the unused bytes to the front.
  boost::asio::mutable_buffer space() {
    if (begin_ > 0) {
      std::copy(data_.data() + begin_, data_.data() + end_, data_.data());
      end_ -= begin_;
      begin_ = 0;
    }
    if (data_.size() - end_ < kLeastSpace) data_.resize(std::max(data_.size() * 2, kFirstSize));
    return boost::asio::buffer(data_.data() + end_, data_.size() - end_);
  }
  void commit(std::size_t count) { end_ += count; }

  // Frees what was grown for a large request, unless much is still unused.
  void shrink() {
    if (data_.size() <= kFirstSize || end_ - begin_ > kFirstSize) return;
    std::vector<char> small(kFirstSize);
    std::copy(data_.data() + begin_, data_.data() + end_, small.data());
    data_ = std::move(small);
    end_ -= begin_;
    begin_ = 0;
  }

  // Frees everything, unless something is unused.
  void rest() {
    if (empty()) std::vector<char>().swap(data_);
  }

 private:
  static constexpr std::size_t kFirstSize = 2048;  // most requests have a few hundred bytes
  static constexpr std::size_t kLeastSpace = 512;

  std::vector<char> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace sharedlock::http
