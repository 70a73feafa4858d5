#include "http/request_notes.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace sharedlock::http {
namespace {

std::string head_of_size(std::size_t size) {
  const std::string_view start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  const std::string_view end = "\r\n\r\n";
  return std::string(start) + std::string(size - start.size() - end.size(), 'x') + std::string(end);
}

TEST(RequestNotes, HeadsThatGrowAreKeptInMemoryThatStays) {
  RequestNotes notes;
  for (std::size_t size : {std::size_t{600}, std::size_t{700}, RequestNotes::kKeptArena}) {
    const std::string text = head_of_size(size);
    OrdinaryHead head;
    ASSERT_TRUE(scan_head(text, head));
    notes.keep(text, head);
    EXPECT_EQ(notes.arena, text);
    notes.clear();
    EXPECT_GE(notes.arena.capacity(), size);
  }
}

}  // namespace
}  // namespace sharedlock::http
