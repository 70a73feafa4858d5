#include "cli/descendants.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock {

namespace {

std::optional<pid_t> number_in(std::string_view text) {
  pid_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The parent, from /proc/PID/stat: "PID (NAME) STATE PARENT …", where the name may hold anything. Nothing: it is gone.
std::optional<pid_t> parent_of(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text, '\0');
  std::size_t name_end = text.rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  std::size_t begin = name_end + 4;  // behind the state
  std::size_t end = text.find(' ', begin);
  return end == std::string::npos ? std::nullopt : number_in(std::string_view(text).substr(begin, end - begin));
}

}  // namespace

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    auto pid = number_in(entry.path().filename().string());
    auto parent = pid ? parent_of(entry.path()) : std::nullopt;
    if (parent) children.emplace(*parent, *pid);
  }
  std::vector<pid_t> found;
  std::vector<pid_t> parents{::getpid()};
  while (!parents.empty()) {
    auto [begin, end] = children.equal_range(parents.back());
    parents.pop_back();
    for (auto child = begin; child != end; ++child) {
      found.push_back(child->second);
      parents.push_back(child->second);
    }
  }
  return found;
}

bool sees_processes() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self", failed) == std::to_string(::getpid());
}

void kill_descendants() {
  for (;;) {
    for (pid_t pid : descendants()) ::kill(pid, SIGKILL);
    pid_t reaped = 0;
    do {
      reaped = ::waitpid(-1, nullptr, WNOHANG | __WALL);
    } while (reaped > 0);
    if (reaped < 0 && errno == ECHILD) return;
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace sharedlock
