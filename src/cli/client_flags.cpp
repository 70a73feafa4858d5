#include "cli/client_flags.h"

#include <fstream>
#include <optional>

#include "base/environment.h"
#include "cli/arguments.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;

// Its first line.
std::optional<std::string> token_in(const std::string& file_name) {
  std::ifstream file(file_name);
  std::string token;
  if (!std::getline(file, token)) return std::nullopt;
  return trimmed(token);
}

// Settings from the environment, and the first unusable one.
class Variables {
 public:
  std::string operator()(const char* name) {
    std::string value = environment_value(name);
    if (!wrong_ && !is_one_line(value)) wrong_ = std::string(name) + " must be one line without control characters";
    return value;
  }
  const std::optional<std::string>& wrong() const { return wrong_; }

 private:
  std::optional<std::string> wrong_;
};

}  // namespace

Flag server_flag(ClientFlags& into) {
  return {.name = "--server",
          .value = "URL",
          .help = "Its URL; else SHARED_LOCK_URL, else http://127.0.0.1:8080.",
          .target = &into.server};
}

Flag token_file_flag(ClientFlags& into) {
  return {.name = "--token-file",
          .value = "FILE",
          .help = "A file with the bearer token; else SHARED_LOCK_TOKEN holds it.",
          .target = &into.token_file};
}

Flag connect_timeout_flag(ClientFlags& into) {
  return seconds_flag("--connect-timeout", into.connect_timeout, {.least = seconds(1), .most = seconds(300)},
                      "For looking up the server's name and connecting, together.");
}

Flag poll_flag(ClientFlags& into) {
  return seconds_flag("--poll", into.poll, {.least = seconds(1), .most = seconds(3600)},
                      "A wait is made of requests of at most so long: less than gateways bear.");
}

Flag patience_flag(ClientFlags& into) {
  auto take = [&into](const std::string& text) -> std::string {
    if (text == "forever") {
      into.patience = client::kNeverGiveUp;
      return {};
    }
    seconds whole{0};
    std::string wrong = take_seconds(text, {.least = seconds(1)}, whole);
    if (wrong.empty()) into.patience = whole;
    return wrong;
  };
  return {.name = "--patience",
          .value = "DURATION",
          .help = "How long the server may be away; or `forever`.",
          .target = take,
          .preset = "10s"};
}

client::Result<client::ClientOptions> client_options(const ClientFlags& flags) {
  Variables variable;
  std::string url = flags.server.empty() ? variable("SHARED_LOCK_URL") : trimmed(flags.server);
  client::ClientOptions options = url.empty() ? client::ClientOptions() : client::ClientOptions(url);
  options.connect_timeout(flags.connect_timeout).poll(flags.poll).patience(flags.patience);
  options.admin_token(variable("SHARED_LOCK_ADMIN_TOKEN"));
  if (std::string file = flags.token_file; !file.empty()) {
    if (!token_in(file)) return client::Error{client::Errc::refused, "--token-file: can't read " + file};
    options.token([file] { return token_in(file).value_or(""); });
  } else if (std::string token = variable("SHARED_LOCK_TOKEN"); !token.empty()) {
    options.token([token] { return token; });
  }
  if (variable.wrong()) return client::Error{client::Errc::refused, *variable.wrong()};
  return options;
}

}  // namespace sharedlock
