#pragma once

#include <string>
#include <vector>

#include "cli/flags.h"

namespace sharedlock {

// The commands, one in each file; each owns the targets of its flags.
Command run_command(std::vector<std::string> words);  // of the command to run: everything behind `--`
Command acquire_command();
Command renew_command();
Command release_command();
Command get_command();
Command verify_command();
Command force_release_command();
Command lease_commands();  // the lease API's, as a group
// Pages about `program`, which must outlive the command; `title` is its name and version.
Command completion_command(const Command& program);
Command man_command(const Command& program, const std::string& title);

}  // namespace sharedlock
