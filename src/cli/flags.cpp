#include "cli/flags.h"

// Only in this file: these headers take long to compile.
#include <CLI/CLI.hpp>
#include <algorithm>

namespace sharedlock {

namespace {

// A command with an action, and where the parser records whether it was named.
struct Runnable {
  const Command* command;
  const CLI::App* app;
};

CLI::Option& add(CLI::App& app, const Flag& flag, bool* into) {
  return *app.add_flag(flag.name, *into, flag.help);
}

CLI::Option& add(CLI::App& app, const Flag& flag, const Version& version) {
  return *app.set_version_flag(flag.name, version.text, flag.help);
}

CLI::Option& add(CLI::App& app, const Flag& flag, const Check& keep) {
  auto take = [name = flag.name, keep](const std::string& text) {
    if (std::string wrong = keep(text); !wrong.empty()) throw CLI::ValidationError(name, wrong);
  };
  return *app.add_option_function<std::string>(flag.name, take, flag.help)->type_name(flag.value);
}

template <class Value>
CLI::Option& add(CLI::App& app, const Flag& flag, Value* into) {
  return *app.add_option(flag.name, *into, flag.help)->type_name(flag.value);
}

void declare(CLI::App& app, const Flag& flag) {
  CLI::Option& option =
      std::visit([&](const auto& target) -> CLI::Option& { return add(app, flag, target); }, flag.target);
  if (!flag.group.empty()) option.group(flag.group);
  if (flag.value_optional) option.expected(0, 1);
  if (!flag.preset.empty()) option.default_str(flag.preset);
  if (flag.required) option.required();
  // Otherwise descriptions of checks would be shown behind the name of the value.
  if (flag.check) option.check(CLI::Validator(flag.check, ""));
  if (flag.between) option.check(CLI::Range(flag.between->first, flag.between->second).description(""));
}

void declare(CLI::App& app, const Command& command, std::vector<Runnable>& runnable) {
  for (const Flag& flag : command.flags) declare(app, flag);
  for (const Flag& flag : command.flags) {
    for (const std::string& other : flag.excludes) app.get_option(flag.name)->excludes(app.get_option(other));
  }
  app.footer(command.footer);
  if (command.run) runnable.push_back({&command, &app});
  // Before any is added: they inherit it.
  if (!command.commands.empty()) app.require_subcommand(1);
  for (const Command& child : command.commands) declare(*app.add_subcommand(child.name, child.help), child, runnable);
}

}  // namespace

Flag help_flag() {
  return {.name = "--help", .help = "Print this help message and exit"};
}

int run_command_line(const Command& program, int argc, const char* const* argv) {
  CLI::App app(program.help, program.name);
  app.set_help_flag("-h," + help_flag().name, help_flag().help);
  std::vector<Runnable> runnable;
  declare(app, program, runnable);
  auto is_named = [](const Runnable& one) { return one.app->parsed(); };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    auto named = std::ranges::find_if(runnable, is_named);
    return named == runnable.end() ? kExitUsage : named->command->usage_error;
  }
  return std::ranges::find_if(runnable, is_named)->command->run();
}

}  // namespace sharedlock
