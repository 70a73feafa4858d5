#include "cli/descendants.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
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

// The parent and the process group, from /proc/PID/stat: "PID (NAME) STATE PARENT GROUP …", where the name may hold
// anything.
struct Relations {
  pid_t parent;
  pid_t group;
};

// Nothing: it is gone.
std::optional<Relations> relations_of(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text, '\0');
  std::size_t name_end = text.rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream behind_state(text.substr(std::min(text.size(), name_end + 4)));
  Relations relations{};
  if (!(behind_state >> relations.parent >> relations.group)) return std::nullopt;
  return relations;
}

std::optional<Relations> relations_of(pid_t process) {
  return relations_of(std::filesystem::path("/proc") / std::to_string(process));
}

// Calls `visit(pid, relations)` for all processes that /proc shows.
template <class Visit>
void each_process(Visit visit) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    auto pid = number_in(entry.path().filename().string());
    auto relations = pid ? relations_of(entry.path()) : std::nullopt;
    if (relations) visit(*pid, *relations);
  }
}

// The process's control group, as set by a service manager: the path in the hierarchy named after systemd, or of
// version 2.
std::string_view managed_group(std::string_view membership) {
  for (std::string_view name : {":name=systemd:", "0::"}) {
    std::size_t at = membership.find(name);
    if (at == std::string_view::npos) continue;
    std::string_view path = membership.substr(at + name.size());
    return path.substr(0, path.find('\n'));
  }
  return {};
}

// The text of its /proc/PID/NAME.
std::string text_of(pid_t process, const char* name) {
  std::ifstream file(std::filesystem::path("/proc") / std::to_string(process) / name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

bool is_in_control_group_of(std::string_view membership, std::string_view of) {
  std::string_view group = managed_group(membership);
  std::string_view above = managed_group(of);
  if (group.empty() || above.empty() || above == "/") return true;
  return group.starts_with(above) && (group.size() == above.size() || group[above.size()] == '/');
}

bool is_in_control_group_of(pid_t process, pid_t of) {
  return is_in_control_group_of(text_of(process, "cgroup"), text_of(of, "cgroup"));
}

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  each_process([&](pid_t pid, const Relations& relations) { children.emplace(relations.parent, pid); });
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

bool is_above(pid_t ancestor, pid_t process) {
  while (process > 1) {
    auto relations = relations_of(process);
    if (!relations) return false;
    if (relations->parent == ancestor) return true;
    process = relations->parent;
  }
  return false;
}

bool has_pending(pid_t process, int signal) {
  constexpr std::string_view kForProcess = "\nShdPnd:\t";  // a mask in hexadecimal
  std::string text = text_of(process, "status");
  std::size_t at = text.find(kForProcess);
  if (at == std::string::npos) return false;
  std::uint64_t pending = 0;
  std::from_chars(text.data() + at + kForProcess.size(), text.data() + text.size(), pending, 16);
  return (pending >> (signal - 1) & 1) != 0;
}

bool is_in_pipeline(pid_t process) {
  auto own = relations_of(process);
  bool others = false;
  each_process([&](pid_t pid, const Relations& relations) {
    if (!own || others || relations.group != own->group || pid == process) return;
    others = !is_above(pid, process) && !is_above(process, pid);
  });
  return others;
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
