#include "support/server_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::generic_category().message(errno));
}

// A file in memory: never full, and read by us while it is written.
int memory_file(const char* name) {
  int file = ::memfd_create(name, MFD_CLOEXEC);
  if (file < 0) fail("memfd_create");
  return file;
}

std::string text_of(int file) {
  struct stat facts{};
  if (::fstat(file, &facts) != 0) return {};
  std::string text(static_cast<std::size_t>(facts.st_size), '\0');
  ssize_t got = ::pread(file, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

// What the child gets for execve(), made before the fork: afterwards nothing may allocate.
class Strings {
 public:
  explicit Strings(std::vector<std::string> strings) : strings_(std::move(strings)) {
    for (std::string& string : strings_) pointers_.push_back(string.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

std::vector<std::string> environment_lines(const Environment& environment) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment) lines.push_back(name + "=" + value);
  for (char** line = environ; *line; ++line) {
    std::string_view text = *line;
    for (std::string_view kept : {"ASAN_", "LSAN_", "UBSAN_", "TSAN_", "LD_LIBRARY_PATH="}) {
      if (text.starts_with(kept)) lines.emplace_back(text);
    }
  }
  return lines;
}

struct ChildFiles {
  int in;
  int out;
  int err;  // -1: none
};

// In the child. Only what POSIX allows after a fork.
[[noreturn]] void become_program(pid_t parent, ChildFiles files, const ProcessOptions& options,
                                 const Strings& arguments, const Strings& environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  if (options.soft_file_limit) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = *options.soft_file_limit;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::dup2(files.in, 0);
  ::dup2(files.out, 1);
  if (files.err < 0) {
    ::close(2);
  } else {
    ::dup2(files.err, 2);
  }
  ::execve(SHAREDLOCK_PROGRAM, arguments.get(), environment.get());
  ::_exit(127);
}

std::vector<std::string> all_arguments(const ProcessOptions& options) {
  std::vector<std::string> all{SHAREDLOCK_PROGRAM};
  all.insert(all.end(), options.arguments.begin(), options.arguments.end());
  return all;
}

ProcessOptions serving(ProcessOptions options) {
  options.arguments.insert(options.arguments.begin(), {"serve", "--port", "0"});
  return options;
}

}  // namespace

Process::Process(const ProcessOptions& options) : out_(memory_file("stdout")), err_(memory_file("stderr")) {
  const Strings arguments(all_arguments(options));
  const Strings environment(environment_lines(options.environment));
  int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0) fail("open /dev/null");
  pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become_program(parent, {nothing, out_, options.stderr_to.value_or(err_)}, options, arguments, environment);
  }
  ::close(nothing);
  if (pid_ < 0) fail("fork");
}

Process::~Process() {
  if (!exit_code_) {
    ::kill(pid_, SIGKILL);
    reap(0);
  }
  ::close(out_);
  ::close(err_);
}

void Process::signal(int number) {
  if (exit_code_) throw std::runtime_error("the process has ended already");
  if (::kill(pid_, number) != 0) fail("kill");
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  (void)eventually([this] { return !running(); }, limit);
  return exit_code_;
}

bool Process::running() {
  reap(WNOHANG);
  return !exit_code_;
}

void Process::reap(int wait_options) {
  if (exit_code_) return;
  int status = 0;
  pid_t ended = ::waitpid(pid_, &status, wait_options);
  if (ended != pid_) return;
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Process::out() const {
  return text_of(out_);
}

std::string Process::err() const {
  return text_of(err_);
}

Ended run_program(const ProcessOptions& options) {
  Process process(options);
  auto exit_code = process.wait();
  if (!exit_code) throw std::runtime_error("the program does not end; so far: " + process.out() + process.err());
  return {*exit_code, process.out(), process.err()};
}

ServerProcess::ServerProcess(ProcessOptions options) : process_(serving(std::move(options))) {
  bool ended = false;
  bool serves = eventually(
      [&] {
        ended = !process_.running();  // before its last words are read
        auto port = serving_port(process_.err());
        port_ = port.value_or(0);
        return port || ended;
      },
      std::chrono::seconds(30));
  if (!serves || port_ == 0) throw std::runtime_error("the server does not serve: " + process_.err());
}

Environment ServerProcess::open_memory(const Environment& more) {
  Environment environment{{"SHARED_LOCK_STORAGE_TYPE", "memory"},
                          {"AUTHENTICATION_DISABLED", "true"},
                          {"SHARED_LOCK_SERVER_ADDRESS", "127.0.0.1"}};
  for (const auto& [name, value] : more) environment[name] = value;
  return environment;
}

http::TestResponse ServerProcess::ask(std::string_view method, std::string_view target, std::string_view body,
                                      std::string_view headers) const {
  http::TestClient client(port_);
  return client.request(method, target, body, headers);
}

bool ServerProcess::says(std::string_view text) const {
  return eventually([&] { return process_.err().find(text) != std::string::npos; });
}

std::optional<int> ServerProcess::stop() {
  process_.signal(SIGTERM);
  return process_.wait();
}

std::optional<std::uint16_t> serving_port(std::string_view err) {
  std::size_t line = err.find("\"msg\":\"serving\"");
  if (line == std::string_view::npos) return std::nullopt;
  err = err.substr(line, err.find('\n', line) - line);
  constexpr std::string_view kMember = "\"port\":";
  std::size_t port = err.find(kMember);
  if (port == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint16_t>(std::strtoul(std::string(err.substr(port + kMember.size())).c_str(), nullptr, 10));
}

}  // namespace sharedlock::test
