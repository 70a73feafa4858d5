#include "cli/arguments.h"

#include <algorithm>
#include <boost/algorithm/string.hpp>

#include "base/go_duration.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;

// For locks, namespaces and instances alike.
std::string why_no_name(const std::string& text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (text.size() >= 3 && text.size() <= 64 && std::ranges::all_of(text, fits)) return {};
  return "'" + text + "' is none: 3 to 64 letters, digits, dashes and underscores";
}

}  // namespace

Flag name_flag(std::string& into) {
  return {.name = "NAME", .help = "The lock.", .target = &into, .check = why_no_name, .required = true};
}

Flag names_flag(std::vector<std::string>& into) {
  return {.name = "NAME",
          .help = "The lock; several: all or none.",
          .target = &into,
          .check = why_no_name,
          .required = true};
}

Flag namespace_flag(std::string& into) {
  return {.name = "--namespace",
          .value = "NAME",
          .help = "The lock's namespace.",
          .target = &into,
          .preset = into,
          .check = why_no_name};
}

Flag instance_flag(std::string& into, const std::string& help) {
  return {.name = "--instance", .value = "ID", .help = help, .target = &into, .check = why_no_name};
}

Flag holders_instance_flag(std::string& into) {
  Flag flag = instance_flag(into, "Who holds it: what acquire printed as instanceId.");
  flag.required = true;
  return flag;
}

Flag choice_flag(const std::string& name, std::string& into, const std::vector<std::string>& choices,
                 const std::string& help) {
  std::string all = boost::algorithm::join(choices, "|");
  auto why_none = [choices, all](const std::string& text) {
    return std::ranges::count(choices, text) != 0 ? std::string() : "'" + text + "' is none of " + all;
  };
  return {.name = name, .value = all, .help = help, .target = &into, .preset = into, .check = why_none};
}

std::string take_seconds(const std::string& text, Bounds bounds, seconds& into) {
  bool only_digits = text.find_first_not_of("0123456789") == std::string::npos;
  auto duration = parse_go_duration(only_digits ? text + 's' : text);
  if (!duration) return "'" + text + "' is no duration; good ones are 15s and 1m30s";
  auto whole = std::chrono::ceil<seconds>(*duration);
  if (whole < bounds.least || whole > bounds.most) {
    std::string least = "must be at least " + to_go_duration(bounds.least);
    bool endless = bounds.most == seconds::max();
    return endless ? least : least + ", and at most " + to_go_duration(bounds.most);
  }
  into = whole;
  return {};
}

Flag seconds_flag(const std::string& name, seconds& into, Bounds bounds, const std::string& help) {
  auto take = [bounds, &into](const std::string& text) { return take_seconds(text, bounds, into); };
  std::string preset = into == seconds::max() ? "" : to_go_duration(into);
  return {.name = name, .value = "DURATION", .help = help, .target = take, .preset = preset};
}

}  // namespace sharedlock
