#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <csignal>
#include <sstream>
#include <thread>
#include <vector>

namespace sharedlock {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;

// A file in memory that a Log writes to.
class LogFile {
 public:
  LogFile() : fd_(::memfd_create("log", 0)) {}
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() { ::close(fd_); }

  int fd() const { return fd_; }

  std::string text() const {
    std::string all;
    std::array<char, 4096> part{};
    ssize_t count = 0;
    while ((count = ::pread(fd_, part.data(), part.size(), static_cast<off_t>(all.size()))) > 0) {
      all.append(part.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

  // Each line as the JSON object that it must be.
  std::vector<boost::json::object> lines() const {
    std::vector<boost::json::object> objects;
    std::istringstream in(text());
    for (std::string line; std::getline(in, line);) objects.push_back(boost::json::parse(line).as_object());
    return objects;
  }

 private:
  int fd_;
};

std::vector<std::string> messages(const std::vector<boost::json::object>& lines) {
  std::vector<std::string> found;
  for (const auto& line : lines) found.emplace_back(line.at("msg").as_string());
  return found;
}

TEST(Log, WritesOneJsonObjectPerLine) {
  const LogFile file;
  {
    Log log(LogLevel::info, file.fd());
    log.write(LogLevel::info, "request", {{"path", "/lease"}, {"status", std::int64_t{201}}, {"ms", 1.25}});
    log.write(LogLevel::error, "second");
  }
  const auto lines = file.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("level").as_string(), "info");
  EXPECT_EQ(lines[0].at("msg").as_string(), "request");
  EXPECT_EQ(lines[0].at("path").as_string(), "/lease");
  EXPECT_EQ(lines[0].at("status").as_int64(), 201);
  EXPECT_DOUBLE_EQ(lines[0].at("ms").as_double(), 1.25);
  EXPECT_EQ(lines[1].at("level").as_string(), "error");
  EXPECT_EQ(lines[1].size(), 3u);  // time, level, msg
  EXPECT_TRUE(file.text().ends_with('\n'));
}

TEST(Log, TimesAreUtcWithMilliseconds) {
  const LogFile file;
  {
    Log log(LogLevel::info, file.fd());
    log.write(LogLevel::info, "now");
  }
  const std::string time(file.lines().at(0).at("time").as_string());
  EXPECT_THAT(time, MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
}

TEST(Log, LeavesOutMessagesBelowItsLevel) {
  const LogFile file;
  {
    Log log(LogLevel::warn, file.fd());
    EXPECT_FALSE(log.enabled(LogLevel::info));
    EXPECT_TRUE(log.enabled(LogLevel::warn));
    log.write(LogLevel::debug, "a");
    log.write(LogLevel::info, "b");
    log.write(LogLevel::warn, "c");
    log.write(LogLevel::error, "d");
  }
  EXPECT_THAT(messages(file.lines()), ElementsAre("c", "d"));
}

TEST(Log, NotesAreWrittenAtEveryLevel) {
  const LogFile file;
  {
    Log log(LogLevel::error, file.fd());
    log.note("serving", {{"port", std::int64_t{8080}}});
  }
  const auto lines = file.lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("level").as_string(), "note");
  EXPECT_EQ(lines[0].at("port").as_int64(), 8080);
}

TEST(Log, AnyBytesStayOneLineOfJson) {
  const LogFile file;
  {
    Log log(LogLevel::info, file.fd());
    log.write(LogLevel::info, "two\nlines %s {}", {{"path", "\xff\"}\n{\"level\":\"error\""}});
  }
  const auto lines = file.lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("msg").as_string(), "two\nlines %s {}");
  EXPECT_EQ(lines[0].at("path").as_string(), "\uFFFD\"}\n{\"level\":\"error\"");
}

TEST(Log, NoLogLineControlsATerminal) {
  const LogFile file;
  {
    Log log(LogLevel::info, file.fd());
    log.write(LogLevel::info, "\u009b2J", {{"path", "/\u202e"}});
  }
  EXPECT_NE(file.text().find(R"("msg":"\u009b2J","path":"/\u202e")"), std::string::npos) << file.text();
}

TEST(Log, LinesOfManyThreadsStayWhole) {
  const LogFile file;
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  {
    Log log(LogLevel::info, file.fd());
    std::vector<std::thread> writers;
    for (int i = 0; i < kThreads; ++i) {
      writers.emplace_back([&log] {
        for (int line = 0; line < kLines; ++line) log.write(LogLevel::info, "x", {{"line", std::int64_t{line}}});
      });
    }
    for (auto& writer : writers) writer.join();
  }
  EXPECT_EQ(file.lines().size(), std::size_t{kThreads} * kLines);
}

TEST(Log, StuckReaderCostsTheOldestLinesAndNeverBlocks) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  constexpr std::int64_t kLines = 40'000;  // far more than the queue and the pipe hold
  std::string all;
  std::thread reader;
  {
    Log log(LogLevel::info, ends[1]);
    for (std::int64_t i = 0; i < kLines; ++i) log.write(LogLevel::info, "x", {{"line", i}});  // nobody reads yet
    reader = std::thread([&all, fd = ends[0]] {
      std::array<char, 65536> part{};
      ssize_t count = 0;
      while ((count = ::read(fd, part.data(), part.size())) > 0)
        all.append(part.data(), static_cast<std::size_t>(count));
    });
  }
  ::close(ends[1]);
  reader.join();
  ::close(ends[0]);
  const auto count = std::ranges::count(all, '\n');
  EXPECT_GT(count, 1000);
  EXPECT_LT(count, kLines);
  EXPECT_NE(all.find("\"line\":39999}\n"), std::string::npos) << "the newest line is kept";
}

TEST(Log, AClosedPipeIsNoReasonToStop) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ::close(ends[0]);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  {
    Log log(LogLevel::info, ends[1]);
    log.write(LogLevel::info, "to nobody");
  }
  std::signal(SIGPIPE, before);
  ::close(ends[1]);
}

TEST(Log, LevelsHaveNames) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("info"), LogLevel::info);
  EXPECT_EQ(parse_log_level("warn"), LogLevel::warn);
  EXPECT_EQ(parse_log_level("error"), LogLevel::error);
  for (const auto word : {"", "INFO", "warning", "trace", "note"}) EXPECT_EQ(parse_log_level(word), std::nullopt);
}

}  // namespace
}  // namespace sharedlock
