#include <boost/algorithm/string.hpp>
#include <cstdio>
#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/command_table.h"

// Completions in the shells' own form. All text in them is from the table of command lines: none of it is the user's.
namespace sharedlock {

namespace {

using boost::algorithm::join;

constexpr const char* kCompletionFooter =
    "  bash  shared-lock completion bash > /etc/bash_completion.d/shared-lock\n"
    "  zsh   shared-lock completion zsh > /usr/local/share/zsh/site-functions/_shared-lock\n";

// Behind this word of `run`, the command line is another program's.
bool runs_programs(const Flag& positional) {
  return positional.name == "COMMAND";
}

// bash: one function, with the words and values of each command in `case` lists.
class BashCompletion {
 public:
  explicit BashCompletion(const Command& program) { add(program, ""); }

  std::string text() const {
    return "# bash completion of shared-lock, by `shared-lock completion bash`\n"
           "_shared_lock() {\n"
           "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i\n"
           "  COMPREPLY=()\n"
           "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "    if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
           "      if ((i == COMP_CWORD - 1)); then mapfile -t COMPREPLY < <(compgen -c -- \"$word\")\n"
           "      else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi\n"
           "      return\n"
           "    fi\n"
           "    case \"$command ${COMP_WORDS[i]}\" in\n"
           "      " +
           join(commands_, " | ") +
           ")\n"
           "        command=\"${command:+$command }${COMP_WORDS[i]}\" ;;\n"
           "    esac\n"
           "  done\n"
           "  case \"$command $before\" in\n" +
           values_ +
           "  esac\n"
           "  case \"$command\" in\n" +
           words_ +
           "  esac\n"
           "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -F _shared_lock shared-lock\n";
  }

 private:
  void add(const Command& command, const std::string& path) {
    std::vector<std::string> words;
    for (const Command& child : command.commands) {
      words.push_back(child.name);
      commands_.push_back('\'' + path + ' ' + child.name + '\'');
    }
    for (const Flag& flag : flags_of(command)) {
      words.push_back(flag.name);
      add_value("'" + path + ' ' + flag.name + '\'', flag);
    }
    for (const Flag& positional : positionals_of(command)) {
      for (const std::string& choice : choices_of(positional)) words.push_back(choice);
      if (runs_programs(positional)) words.emplace_back("--");
    }
    words_ += "    '" + path + "') words='" + join(words, " ") + "' ;;\n";
    for (const Command& child : command.commands) add(child, path_of(path, child));
  }

  void add_value(const std::string& pattern, const Flag& flag) {
    // Complete even without a value.
    if (flag.value_optional || value_name(flag).empty()) return;
    values_ += "    " + pattern + ") ";
    if (auto choices = choices_of(flag); !choices.empty()) {
      values_ += "mapfile -t COMPREPLY < <(compgen -W '" + join(choices, " ") + "' -- \"$word\"); ";
    } else if (is_file(flag)) {
      values_ += "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); ";
    }
    values_ += "return ;;\n";
  }

  std::vector<std::string> commands_;  // patterns: the command so far, and the word that extends it
  std::string values_;
  std::string words_;
};

// zsh: a function for each command.
class ZshCompletion {
 public:
  explicit ZshCompletion(const Command& program) { add(program, ""); }

  std::string text() const {
    return "#compdef shared-lock\n# zsh completion of shared-lock, by `shared-lock completion zsh`\n" + functions_ +
           "if [[ $funcstack[1] == _shared-lock ]]; then _shared_lock \"$@\"; "
           "else compdef _shared_lock shared-lock; fi\n";
  }

 private:
  static std::string function_of(const std::string& path) {
    return "_shared_lock" + (path.empty() ? path : '_' + replaced(replaced(path, " ", "_"), "-", "_"));
  }
  // Within single quotes, in a message of _arguments or _describe.
  static std::string escaped(std::string text) {
    for (const char* special : {"\\", "[", "]", ":"}) text = replaced(text, special, std::string("\\") + special);
    return replaced(text, "'", "'\\''");
  }
  static std::string action_of(const Flag& flag) {
    if (auto choices = choices_of(flag); !choices.empty()) return '(' + join(choices, " ") + ')';
    return is_file(flag) ? "_files" : " ";
  }

  static std::string of_flag(const Flag& flag) {
    std::string spec = flag.name + '[' + escaped(flag.help) + ']';
    if (value_name(flag).empty()) return spec;
    return spec + (flag.value_optional ? "::" : ":") + escaped(value_name(flag)) + ':' + action_of(flag);
  }
  static std::string of_positional(const Flag& positional) {
    std::string name = escaped(positional.name);
    if (runs_programs(positional)) return "*::" + name + ":_normal";
    std::string many = is_list(positional) ? "*:" : ":";
    return many + name + ':' + action_of(positional);
  }

  void add(const Command& command, const std::string& path) {
    std::string arguments;
    auto add_argument = [&](const std::string& spec) { arguments += " \\\n    '" + spec + '\''; };
    for (const Flag& flag : flags_of(command)) add_argument(of_flag(flag));
    for (const Flag& positional : positionals_of(command)) add_argument(of_positional(positional));
    if (command.commands.empty()) {
      functions_ += function_of(path) + "() {\n  _arguments -s" + arguments + "\n}\n";
      return;
    }
    std::string commands;
    std::string calls;
    for (const Command& child : command.commands) {
      add(child, path_of(path, child));
      commands += " \\\n    '" + child.name + ':' + escaped(child.help) + '\'';
      calls += "      " + child.name + ") " + function_of(path_of(path, child)) + " ;;\n";
    }
    add_argument(":command:->command");
    add_argument("*::argument:->arguments");
    functions_ += function_of(path) +
                  "() {\n"
                  "  local curcontext=$curcontext state line\n"
                  "  local -a commands=(" +
                  commands +
                  ")\n"
                  "  _arguments -C" +
                  arguments +
                  "\n"
                  "  case $state in\n"
                  "    command) _describe command commands ;;\n"
                  "    arguments) case $words[1] in\n" +
                  calls +
                  "    esac ;;\n"
                  "  esac\n"
                  "}\n";
  }

  std::string functions_;
};

}  // namespace

Command completion_command(const Command& program) {
  auto shell = std::make_shared<std::string>();
  Command command{
      .name = "completion", .help = "Print the completion of these commands for a shell.", .footer = kCompletionFooter};
  command.flags = {choice_flag("SHELL", *shell, {"bash", "zsh"}, "Which.")};
  command.flags.front().required = true;
  command.run = [&program, shell] {
    std::string text = *shell == "bash" ? BashCompletion(program).text() : ZshCompletion(program).text();
    bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? 0 : kExitSoftware;
  };
  return command;
}

}  // namespace sharedlock
