#include <boost/algorithm/string.hpp>
#include <cctype>
#include <cstdio>
#include <set>

#include "cli/command.h"
#include "cli/command_table.h"

namespace sharedlock {

namespace {

constexpr const char* kEnvironment =
    ".SH ENVIRONMENT\n"
    "Of the commands that ask a server:\n"
    ".TP\n.B SHARED_LOCK_URL\nthe server, where there is no \\fB\\-\\-server\\fP;\n"
    ".TP\n.B SHARED_LOCK_TOKEN\nthe bearer token, where there is no \\fB\\-\\-token\\-file\\fP;\n"
    ".TP\n.B SHARED_LOCK_ADMIN_TOKEN\nthe secret of administrators, for \\fBforce\\-release\\fP.\n"
    ".PP\n"
    "Each setting of the server has a variable too; \\fBshared\\-lock config\\fP shows where each comes from.\n";

// Text escaped for roff.
std::string plain(std::string text) {
  text = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (!text.empty() && (text.front() == '.' || text.front() == '\'')) text.insert(0, "\\&");
  return replaced(replaced(text, "\n.", "\n\\&."), "\n'", "\n\\&'");
}

std::string bold(const std::string& text) {
  return "\\fB" + plain(text) + "\\fP";
}
std::string italic(const std::string& text) {
  return "\\fI" + plain(text) + "\\fP";
}

class ManPage {
 public:
  ManPage(const Command& program, const std::string& title) {
    text_ = ".TH SHARED\\-LOCK 1 \"\" \"" + plain(title) +
            "\"\n.SH NAME\nshared\\-lock \\- a distributed lock service over HTTP\n.SH SYNOPSIS\n";
    add_commands(program, "", &ManPage::synopsis);
    text_ += ".SH COMMANDS\n";
    add_commands(program, "", &ManPage::add);
    text_ += more_groups_ + kEnvironment;
  }

  const std::string& text() const { return text_; }

 private:
  using Part = void (ManPage::*)(const Command& command, const std::string& path);
  // A section for each command of a group, and of the groups in it.
  void add_commands(const Command& group, const std::string& path, Part part) {
    for (const Command& child : group.commands) {
      if (child.commands.empty()) (this->*part)(child, path_of(path, child));
      add_commands(child, path_of(path, child), part);
    }
  }

  void synopsis(const Command& command, const std::string& path) {
    text_ += ".PP\n" + bold("shared-lock " + path);
    for (const Flag& positional : positionals_of(command)) {
      std::string name = italic(positional_name(positional));
      text_ += ' ' + (positional.required ? name : "[\\-\\- " + name + ']');
    }
    text_ += " [" + italic("option") + "...]\n";
  }

  void add(const Command& command, const std::string& path) {
    text_ += ".SS " + plain(path) + '\n' + plain(command.help) + '\n';
    for (const Flag& positional : positionals_of(command)) {
      text_ += ".TP\n" + italic(positional_name(positional)) + '\n' + plain(positional.help) + '\n';
    }
    std::set<std::string> groups;
    for (const Flag& flag : flags_of(command)) {
      if (flag.group.empty()) {
        text_ += of_flag(flag);
      } else {
        groups.insert(flag.group);
      }
    }
    for (const std::string& group : groups) {
      text_ += ".PP\nAnd the flags of " + plain(boost::algorithm::to_upper_copy(group)) + " below.\n";
      if (described_.insert(group).second) describe_group(command, group);
    }
    if (!command.footer.empty()) text_ += ".PP\n.nf\n" + plain(trimmed(command.footer)) + "\n.fi\n";
  }

  // For flags that several commands share.
  void describe_group(const Command& command, const std::string& group) {
    more_groups_ += ".SH " + plain(boost::algorithm::to_upper_copy(group)) + '\n';
    for (const Flag& flag : flags_of(command)) {
      if (flag.group == group) more_groups_ += of_flag(flag);
    }
  }

  static std::string of_flag(const Flag& flag) {
    std::string text = ".TP\n" + bold(flag.name);
    if (std::string value = value_name(flag); !value.empty()) text += ' ' + italic(value);
    text += '\n' + plain(flag.help);
    if (!flag.preset.empty()) text += " Default: " + plain(flag.preset) + '.';
    return text + '\n';
  }

  static std::string trimmed(std::string text) {
    boost::algorithm::trim_right(text);
    return text;
  }

  std::string text_;
  std::string more_groups_;
  std::set<std::string> described_;
};

}  // namespace

Command man_command(const Command& program, const std::string& title) {
  Command command{.name = "man", .help = "Print the manual page: shared-lock man | man -l -"};
  command.run = [&program, title] {
    std::string text = ManPage(program, title).text();
    bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? 0 : kExitSoftware;
  };
  return command;
}

}  // namespace sharedlock
