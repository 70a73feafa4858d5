#include "cli/request.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "base/utf8.h"
#include "cli/exit_codes.h"
#include "cli/say.h"

namespace sharedlock {

namespace {

bool print_line(const std::string& text) {
  return std::printf("%s\n", text.c_str()) >= 0 && std::fflush(stdout) == 0;
}

int fail(const std::string& command, bool as_json, const client::Error& error) {
  say(command, error.message, kForLastWords);
  if (as_json) {
    print_line(JsonObject().text("error", client::name_of(error.code)).text("message", error.message).take());
  }
  return exit_code_of(error.code);
}

}  // namespace

Answer& Answer::text(std::string_view name, std::string_view value) {
  json_.text(name, value);
  lines_.append(name).append(" ").append(shown_line(value)).append("\n");
  return *this;
}

Answer& Answer::number(std::string_view name, std::int64_t value) {
  json_.number(name, value);
  lines_.append(name).append(" ").append(std::to_string(value)).append("\n");
  return *this;
}

Answer& Answer::boolean(std::string_view name, bool value) {
  json_.boolean(name, value);
  lines_.append(name).append(value ? " true\n" : " false\n");
  return *this;
}

Answer& Answer::locks(const std::vector<std::string>& names, const std::vector<std::int64_t>& tokens) {
  if (names.size() == 1) return text("lockName", names.front()).number("fencingToken", tokens.front());
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Answer one;
    one.text("lockName", names[i]).number("fencingToken", tokens[i]);
    lines_ += one.lines_;
    list += (i == 0 ? '[' : ',') + one.json_.take();
  }
  json_.raw("locks", list + ']');
  return *this;
}

Answer& Answer::grant(const client::Names& names, const client::Grant& grant) {
  text("namespace", names.namespace_name).locks(names.names, grant.tokens).text("instanceId", names.instance);
  return number("ttl", grant.ttl.count()).number("expiry", grant.expiry);
}

bool Answer::print(bool as_json) {
  if (!lines_.empty()) lines_.pop_back();
  return print_line(as_json ? json_.take() : lines_);
}

std::vector<Flag> request_flags(RequestFlags& into) {
  return {
      server_flag(into.client),
      token_file_flag(into.client),
      connect_timeout_flag(into.client),
      {.name = "--json", .help = "Print one JSON object, also for errors.", .target = &into.json},
  };
}

int ask(const std::string& command, const RequestFlags& flags,
        const std::function<client::Result<Answer>(client::Operations)>& request) {
  ::signal(SIGPIPE, SIG_IGN);  // if the answer can't be printed, the request is undone
  auto options = client_options(flags.client);
  if (!options) return fail(command, flags.json, options.error());
  try {
    client::Client client(*options);
    auto answer = request(client::Operations(client));
    if (!answer) return fail(command, flags.json, answer.error());
    if (answer->print(flags.json)) return answer->exit_code;
    std::string why = std::generic_category().message(errno);
    if (answer->undo) answer->undo();  // whether or not the message can be printed
    say(command, "can't write: " + why, kForLastWords);
    return kExitSoftware;
  } catch (const client::Failure& failure) {
    return fail(command, flags.json, {failure.code(), failure.what()});
  }
}

}  // namespace sharedlock
