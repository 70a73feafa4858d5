#include "cli/say.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <utility>

#include "base/utf8.h"

namespace sharedlock {

namespace {

constexpr std::chrono::milliseconds kSayAfter{300};

// By opening it again, which makes only our own description non-blocking: the one shared with others stays unchanged.
// Another user's file can't be reopened.
ssize_t write_to_reopened(int fd, std::string_view text) {
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) {
    errno = EOPNOTSUPP;
    return -1;
  }
  ssize_t written = ::write(own, text.data(), text.size());
  int why = errno;
  ::close(own);
  errno = why;
  return written;
}

// The last resort: another process may fill it between the two calls.
ssize_t write_where_polled(int fd, std::string_view text) {
  pollfd writable{fd, POLLOUT, 0};
  if (::poll(&writable, 1, 0) == 1) return ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
  errno = EAGAIN;
  return -1;
}

bool is_final(ssize_t written) {
  return written >= 0 || errno == EAGAIN || errno == EPIPE || errno == EIO || errno == EBADF;
}

}  // namespace

ssize_t write_at_once(int fd, std::string_view text) {
  struct stat facts{};
  if (::fstat(fd, &facts) != 0) return -1;
  if (S_ISSOCK(facts.st_mode)) return ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  bool may_block = S_ISFIFO(facts.st_mode) || ::isatty(fd) != 0;
  if (!may_block) return ::write(fd, text.data(), text.size());
  iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  errno = EOPNOTSUPP;
  ssize_t written = S_ISFIFO(facts.st_mode) ? ::pwritev2(fd, &piece, 1, -1, RWF_NOWAIT) : -1;  // newer kernels know it
  if (!is_final(written)) written = write_to_reopened(fd, text);
  if (!is_final(written)) written = write_where_polled(fd, text);
  return written;
}

void say(std::string_view command, std::string_view text, std::chrono::milliseconds patience) {
  constexpr std::size_t kLongest = PIPE_BUF;  // pipes take this much at once, or nothing
  std::string line = "shared-lock " + std::string(command) + ": ";
  line += shown_line(text.substr(0, kLongest));
  if (line.size() >= kLongest) {
    std::size_t end = kLongest - 1;
    while ((static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;  // not within a character
    line.resize(end);
  }
  line += '\n';
  auto over = std::chrono::steady_clock::now() + patience;
  for (std::string_view rest = line;;) {
    ssize_t written = write_at_once(STDERR_FILENO, rest);
    if (written < 0 && errno != EAGAIN) return;
    rest.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    auto left = std::chrono::ceil<std::chrono::milliseconds>(over - std::chrono::steady_clock::now());
    if (rest.empty() || left.count() <= 0) return;
    pollfd writable{STDERR_FILENO, POLLOUT, 0};
    ::poll(&writable, 1, static_cast<int>(left.count()));
  }
}

std::jthread say_later(std::string command, std::string text) {
  return std::jthread([command = std::move(command), text = std::move(text)](const std::stop_token& stop) {
    // Output that nobody reads must not end us.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::mutex mutex;
    std::unique_lock lock(mutex);
    bool ended = std::condition_variable_any().wait_for(lock, stop, kSayAfter, [&] { return stop.stop_requested(); });
    if (!ended) say(command, text);
  });
}

}  // namespace sharedlock
