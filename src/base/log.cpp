#include "base/log.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <mutex>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/time_text.h"

namespace sharedlock {

namespace {

constexpr std::size_t kQueuedLines = 8192;

// Writes each finished line to a descriptor. Lines that can't be written (a closed pipe, a full disk) are lost: a log
// must not stop the service. It waits for a stuck reader, since the queue before it is bounded, but not for ever when
// the log closes.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(int fd) : fd_(fd) {}

  // From now on waits for a stuck reader no longer than `patience`, over all lines.
  void end_within(std::chrono::milliseconds patience) { give_up_ = Steady::now() + patience; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string_view left(message.payload.data(), message.payload.size());
    while (!left.empty() && wait_until_writable()) {
      // A writable pipe takes this much without blocking.
      ssize_t written = ::write(fd_, left.data(), std::min<std::size_t>(left.size(), PIPE_BUF));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      left.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void flush_() override {}

 private:
  using Steady = std::chrono::steady_clock;

  bool wait_until_writable() {
    constexpr int kLookAgainMs = 50;
    pollfd descriptor{.fd = fd_, .events = POLLOUT, .revents = 0};
    while (true) {
      bool patient = Steady::now() < give_up_.load();
      int ready = ::poll(&descriptor, 1, patient ? kLookAgainMs : 0);
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
      if (!patient) return false;
    }
  }

  int fd_;
  std::atomic<Steady::time_point> give_up_{Steady::time_point::max()};
};

std::string_view word_for(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

void add_field(JsonObject& line, const LogField& field) {
  if (auto* text = std::get_if<std::string_view>(&field.value)) {
    line.text(field.name, *text);
  } else if (auto* number = std::get_if<std::int64_t>(&field.value)) {
    line.number(field.name, *number);
  } else {
    char digits[32];
    double value = std::get<double>(field.value);
    auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, 3).ptr;
    line.raw(field.name, std::string_view(digits, end));
  }
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view word) {
  for (LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
    if (word == word_for(level)) return level;
  }
  return std::nullopt;
}

struct Log::Sink {
  explicit Sink(int fd)
      : pool(std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1)),
        descriptor(std::make_shared<DescriptorSink>(fd)),
        logger(std::make_shared<spdlog::async_logger>("shared-lock", descriptor, pool,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(spdlog::level::trace);
  }

  std::shared_ptr<spdlog::details::thread_pool> pool;  // its destructor writes the queued lines, then joins
  std::shared_ptr<DescriptorSink> descriptor;
  std::shared_ptr<spdlog::async_logger> logger;
  SystemClock clock;
};

Log::Log(LogLevel level, int fd) : level_(level), sink_(std::make_unique<Sink>(fd)) {}

Log::~Log() {
  sink_->descriptor->end_within(std::chrono::seconds(1));
}

void Log::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (enabled(level)) queue(word_for(level), message, fields);
}

void Log::note(std::string_view message, std::initializer_list<LogField> fields) {
  queue("note", message, fields);
}

void Log::queue(std::string_view level, std::string_view message, std::initializer_list<LogField> fields) {
  JsonObject json;
  json.text("time", to_rfc3339(sink_->clock.wall_now())).text("level", level).text("msg", message);
  for (const LogField& field : fields) add_field(json, field);
  std::string line = json.take() + '\n';
  sink_->logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace sharedlock
