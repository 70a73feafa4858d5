#include "support/process.h"

#include <fcntl.h>
#include <linux/capability.h>
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

// One that holds `text`, to be read from its beginning.
int memory_file(const char* name, const std::string& text) {
  int file = memory_file(name);
  if (::pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) fail("pwrite");
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

// What the child needs for execve(), prepared before the fork: afterwards nothing may allocate.
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
  if (options.hard_file_limit) {
    rlimit limit{*options.hard_file_limit, *options.hard_file_limit};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (options.obeys_file_modes) {
    // A process that is not root has none of them, and may not drop them.
    for (int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}) ::prctl(PR_CAPBSET_DROP, capability);
  }
  ::dup2(files.in, 0);
  ::dup2(files.out, 1);
  if (files.err < 0) {
    ::close(2);
  } else {
    ::dup2(files.err, 2);
  }
  ::execve(options.program.c_str(), arguments.get(), environment.get());
  ::_exit(127);
}

std::vector<std::string> all_arguments(const ProcessOptions& options) {
  std::vector<std::string> all{options.program};
  all.insert(all.end(), options.arguments.begin(), options.arguments.end());
  return all;
}

}  // namespace

Process::Process(const ProcessOptions& options)
    : program_(options.program), out_(memory_file("stdout")), err_(memory_file("stderr")) {
  const Strings arguments(all_arguments(options));
  const Strings environment(environment_lines(options.environment));
  int input = memory_file("stdin", options.input);
  pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become_program(parent, {input, out_, options.stderr_to.value_or(err_)}, options, arguments, environment);
  }
  ::close(input);
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
  if (exit_code_) throw std::runtime_error(last_words());
  if (::kill(pid_, number) != 0) fail("kill");
}

void Process::stop() {
  signal(SIGSTOP);
  // On a busy machine its threads may run on for a while.
  reap(WUNTRACED);
}

void Process::resume() {
  signal(SIGCONT);
}

std::string Process::last_words() const {
  constexpr std::size_t kMost = 8000;
  std::string text = err();
  if (text.size() > kMost) text.erase(0, text.size() - kMost);
  return program_ + (exit_code_ ? " has ended with " + std::to_string(*exit_code_) : " runs") + ":\n" + text;
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
  if (ended != pid_ || WIFSTOPPED(status)) return;
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

void allow_open_files(std::size_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= count) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < count) throw std::runtime_error("this test needs " + std::to_string(count) + " open files");
}

}  // namespace sharedlock::test
