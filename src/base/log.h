#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace sharedlock {

enum class LogLevel { debug, info, warn, error };

// "debug", "info", "warn" or "error"; nothing for any other word.
std::optional<LogLevel> parse_log_level(std::string_view word);

// One member of a log line besides time, level and msg.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double> value;
};

// The process's log: one JSON object per line, `{"time":…,"level":…,"msg":…,…}`, times in UTC with milliseconds. Lines
// are queued and written by a separate thread; when the file's reader is stuck, the oldest lines are dropped rather
// than block the server. Thread-safe. Never pass in secrets, instance ids or lease ids.
class Log {
 public:
  // Writes lines of `level` and above to the open file descriptor `fd` (2 = stderr), which the caller keeps.
  explicit Log(LogLevel level, int fd = 2);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();  // writes queued lines; waits for a stuck reader at most a second

  bool enabled(LogLevel level) const { return level >= level_; }

  // Queues one line; `message` and the string fields may hold any bytes, even invalid UTF-8.
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

  // A line that is written at every level: the server serves, drains, stops.
  void note(std::string_view message, std::initializer_list<LogField> fields = {});

 private:
  struct Sink;  // keeps spdlog out of this header

  void queue(std::string_view level, std::string_view message, std::initializer_list<LogField> fields);

  LogLevel level_;
  std::unique_ptr<Sink> sink_;
};

}  // namespace sharedlock
