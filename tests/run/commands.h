#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {

// Commands for `shared-lock run` that write to files of one directory, and what the files tell.
class Commands {
 public:
  std::string file(const std::string& name) const { return directory_ / name; }
  bool exists(const std::string& name) const;
  // Waits until it is there.
  bool appears(const std::string& name, std::chrono::milliseconds limit = std::chrono::seconds(20)) const;
  void create(const std::string& name) const;
  std::string text(const std::string& name) const;
  std::ptrdiff_t count(const std::string& name, const std::string& word) const;

  // Shell text that writes "ID SECONDS" (of CLOCK_BOOTTIME) to the file "ticks" every 20 ms, until the file `end` is
  // there.
  std::string ticking(const std::string& id, const std::string& end = "end") const;
  bool has_ticks_of(const std::string& id) const;
  // Of all that were written, those of one id; nothing: 0.
  double first_tick(const std::string& id) const;
  double last_tick(const std::string& id) const;
  // Empty when no two ids ever ticked at the same time; else what happened.
  std::string overlap() const;

  // Seconds of CLOCK_BOOTTIME.
  static double now();

 private:
  struct Tick {
    std::string id;
    double at;
  };
  std::vector<Tick> ticks() const;

  TemporaryDirectory directory_;
};

// `shared-lock run ARGUMENTS…` against the server on that port.
ProcessOptions running(const std::string& url, std::vector<std::string> arguments);

}  // namespace sharedlock::test
