#include "run/commands.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "support/eventually.h"

namespace sharedlock::test {

bool Commands::exists(const std::string& name) const {
  return std::filesystem::exists(file(name));
}

bool Commands::appears(const std::string& name, std::chrono::milliseconds limit) const {
  return eventually([&] { return exists(name); }, limit);
}

void Commands::create(const std::string& name) const {
  std::ofstream(file(name)) << "1\n";
}

std::string Commands::text(const std::string& name) const {
  std::ostringstream all;
  all << std::ifstream(file(name)).rdbuf();
  return all.str();
}

std::ptrdiff_t Commands::count(const std::string& name, const std::string& word) const {
  std::istringstream words(text(name));
  return std::count(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>(), word);
}

std::string Commands::ticking(const std::string& id, const std::string& end) const {
  return "while [ ! -e " + file(end) + " ]; do read up rest < /proc/uptime; echo " + id + " $up >> " + file("ticks") +
         " || exit 1; sleep 0.02; done";
}

std::vector<Commands::Tick> Commands::ticks() const {
  std::vector<Tick> found;
  std::ifstream lines(file("ticks"));
  for (Tick tick; lines >> tick.id >> tick.at;) found.push_back(tick);
  return found;
}

bool Commands::has_ticks_of(const std::string& id) const {
  return first_tick(id) != 0;
}

double Commands::first_tick(const std::string& id) const {
  for (const Tick& tick : ticks()) {
    if (tick.id == id) return tick.at;
  }
  return 0;
}

double Commands::last_tick(const std::string& id) const {
  double last = 0;
  for (const Tick& tick : ticks()) {
    if (tick.id == id) last = tick.at;
  }
  return last;
}

std::string Commands::overlap() const {
  std::set<std::string> over;
  std::string present;
  double latest = 0;
  for (const Tick& tick : ticks()) {
    if (tick.id != present) {
      over.insert(present);
      present = tick.id;
      if (tick.at < latest) return tick.id + " began before the one before it had ended";
    }
    if (over.contains(tick.id)) return tick.id + " ran on beside another";
    latest = std::max(latest, tick.at);
  }
  return "";
}

double Commands::now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

ProcessOptions running(const std::string& url, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  return {.arguments = std::move(arguments),
          .environment = {{"SHARED_LOCK_URL", url}, {"PATH", "/usr/local/bin:/usr/bin:/bin"}}};
}

}  // namespace sharedlock::test
