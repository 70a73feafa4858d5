#include "config/config_page.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/options.h"
#include "config/value.h"

namespace sharedlock::config {

namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Generated from src/config/options.cpp. Don't edit; run: build/release/shared-lock config --markdown > docs/configuration.md -->

Each setting can be given in three ways. A flag wins over the environment, the environment over the properties file
(`--config FILE`), and that over the default. An empty value counts as not given; spaces around a value do not count.
`shared-lock config` prints what is in effect and where each value came from.

- **Durations** are written as in Go, `500ms`, `10s`, `1m30s`, or as a bare number of seconds. `0` means no limit, unless
  it says otherwise below.
- **Booleans** are `true` or `false`; `1`, `0`, `yes`, `no`, `on` and `off` work too. A flag without a value, as in
  `--debug`, means true.
- **Lists** are comma-separated.
- Where several names stand in one cell, they are names of one setting. Set to different values in the same source, they
  are an error.
- A value that makes no sense, or an unknown property that looks like one of ours, stops the server at its start with a
  message that says which and why. Unknown environment variables are ignored.

The **properties file** has one `key=value` or `key: value` per line, in UTF-8. `#` or `!` begins a comment line, `\` at
the end of a line continues it on the next, and other backslashes escape as in Java. Of two lines with the same key the
last one wins. Case, dashes and underscores in keys do not matter: `locker.etcd.key-prefix` is `locker.etcd.keyPrefix`.
Keys of other programs, such as `logging.…`, are ignored with a warning; but those by which Spring Boot decides who can
reach a server, or how safely (`server.ssl.…`, `server.servlet.context-path`, `management.server.…`, `spring.security.…`
and the like), stop the start with a sentence that names what to set instead, in the file and in the environment. So do
those that bring in other files (`spring.config.import`, `spring.profiles.…`). YAML is not read.

**In Kubernetes**, a Service called `shared-lock-server` makes Kubernetes set `SHARED_LOCK_SERVER_PORT=tcp://…` in other
pods of the namespace, which is no port number. Set `enableServiceLinks: false` in the pod's spec, or name the Service
otherwise.
)";

constexpr std::array<std::pair<Group, std::string_view>, 6> kTitles{{{Group::server, "HTTP server"},
                                                                     {Group::log, "Logs and profiles"},
                                                                     {Group::storage, "Storage"},
                                                                     {Group::etcd, "etcd"},
                                                                     {Group::locks, "Locks and leases"},
                                                                     {Group::access, "Access"}}};

std::string code(std::string_view text) {
  return "`" + std::string(text) + "`";
}

template <class Names>
std::string code_list(const Names& names) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : "<br>") + code(name);
  return list;
}

std::string row(const Option& option) {
  const auto value = value_text(option, Settings{});
  return "| " + code_list(option.properties) + " | " + code_list(option.environment) + " | " +
         code("--" + std::string(option.flag)) + " | " + (value.empty() ? "" : code(value)) + " | " +
         std::string(option.help) + (option.planned ? " **Not in this version yet: without effect.**" : "") + " |\n";
}

std::string section(Group group, std::string_view title) {
  std::string text = "\n## " + std::string(title) + "\n\n";
  text += "| Property | Environment | Flag | Default | Meaning |\n|---|---|---|---|---|\n";
  for (const auto& option : options()) {
    if (option.group == group) text += row(option);
  }
  return text;
}

std::string origin_text(const Origin& origin) {
  switch (origin.source) {
    case Source::defaults:
      return "default";
    case Source::file:
      return "file " + origin.name;
    case Source::environment:
      return "environment " + origin.name;
    case Source::flag:
      return "flag " + origin.name;
  }
  return "?";
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

}  // namespace

std::string markdown_page() {
  std::string page(kIntroduction);
  for (const auto& [group, title] : kTitles) page += section(group, title);
  return page;
}

std::string effective_settings(const LoadedSettings& loaded) {
  constexpr std::size_t kLongestPadded = 48;  // a longer value pushes its own line out, not all the others
  std::size_t name_width = 0;
  std::size_t value_width = 0;
  for (const auto& option : options()) {
    name_width = std::max(name_width, option.name().size());
    value_width = std::max(value_width, std::min(kLongestPadded, shown_value(option, loaded.settings).size()));
  }
  std::string text;
  for (std::size_t i = 0; i < options().size(); ++i) {
    const auto& option = options()[i];
    text += padded(std::string(option.name()), name_width) + "  " +
            padded(shown_value(option, loaded.settings), value_width) + "  " + origin_text(loaded.origins[i]) + "\n";
  }
  return text;
}

}  // namespace sharedlock::config
