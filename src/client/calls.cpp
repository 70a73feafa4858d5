#include "client/calls.h"

#include <boost/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "base/random.h"

namespace sharedlock::client {

namespace {

namespace json = boost::json;

constexpr std::string_view kKeepPlace = "keepPlace";

// The path of one lock, or of a set, with the operation on it.
std::string path_of(const std::string& namespace_name, const std::string& name, std::string_view what = "") {
  std::string path = "/v1/" + escape(namespace_name) + "/lock/" + escape(name);
  return what.empty() ? path : path + '/' + std::string(what);
}
std::string path_of(const Names& names, std::string_view what) {
  if (names.names.size() == 1) return path_of(names.namespace_name, names.names.front(), what);
  return "/v1/" + escape(names.namespace_name) + "/locks/" + std::string(what);
}

JsonObject body_of(const Names& names) {
  JsonObject body;
  if (names.names.size() != 1) {
    std::string list;
    for (const std::string& name : names.names) {
      list += list.empty() ? '[' : ',';
      append_json_string(list, name);
    }
    body.raw("names", list.empty() ? "[]" : list + ']');
  }
  body.text("instanceId", names.instance);
  return body;
}

// The server's message for people: its JSON message with details, or plain text.
std::string text_of(const HttpAnswer& answer) {
  boost::system::error_code bad;
  auto body = json::parse(answer.body, bad);
  auto* object = bad ? nullptr : body.if_object();
  auto* message = object ? object->if_contains("message") : nullptr;
  if (!message || !message->is_string()) return answer.body.substr(0, 200);
  std::string text(message->get_string());
  auto* details = object->if_contains("details");
  if (details && details->is_array()) {
    for (const json::value& detail : details->get_array()) text += "; " + json::value_to<std::string>(detail);
  }
  return text;
}

// Redirects are not followed: asking again changes nothing, and a request, which may carry a token, goes only to the
// server that the options name.
Error redirected(const HttpAnswer& answer) {
  std::string text = "the server answered " + std::to_string(answer.status) + ", a redirect";
  if (!answer.location.empty()) text += " to " + answer.location.substr(0, 200) + ": give the URL that leads there";
  return {Errc::refused, std::move(text)};
}

// An answer of a gateway between us and the server, which waited too long for the server or lost it.
bool is_from_gateway(int status) {
  constexpr int kCloudflaresTimeout = 524;
  return status == 408 || status == 502 || status == 504 || status == kCloudflaresTimeout;
}

// For an answer that is no success and has no meaning of its own.
Error failure(const HttpAnswer& answer) {
  if (answer.status >= 300 && answer.status < 400) return redirected(answer);
  bool definite = answer.status >= 400 && answer.status < 500 && answer.status != 408 && answer.status != 429;
  std::string text = "the server answered " + std::to_string(answer.status) + ": " + text_of(answer);
  return {definite ? Errc::refused : Errc::unavailable, std::move(text)};
}

Error garbage() {
  return {Errc::unavailable, "the server's answer makes no sense"};
}

Result<json::object> object_of(const HttpAnswer& answer) {
  boost::system::error_code bad;
  auto body = json::parse(answer.body, bad);
  if (bad || !body.is_object()) return garbage();
  return std::move(body.get_object());
}

std::int64_t number_in(const json::object& object, std::string_view name) {
  auto* member = object.if_contains(name);
  return member && member->is_int64() ? member->get_int64() : 0;
}
std::string text_in(const json::object& object, std::string_view name) {
  auto* member = object.if_contains(name);
  return member && member->is_string() ? std::string(member->get_string()) : std::string();
}

// The limit is above any server's grant, and still fits into nanoseconds.
bool makes_sense(std::int64_t ttl) {
  constexpr std::int64_t kLongest = 1'000'000'000;
  return ttl > 0 && ttl <= kLongest;
}

Result<Grant> to_grant(const Names& names, const HttpAnswer& answer) {
  auto object = object_of(answer);
  if (!object) return object.error();
  Grant grant{.owner = text_in(*object, "owner"),
              .tokens = {},
              .expiry = number_in(*object, "expiry"),
              .ttl = std::chrono::seconds(object->contains("ttl") ? number_in(*object, "ttl") : answer.ttl),
              .sent = answer.sent};
  auto* locks = object->if_contains("locks");
  if (locks && locks->is_array()) {
    for (const json::value& lock : locks->get_array()) {
      if (lock.is_object()) grant.tokens.push_back(number_in(lock.get_object(), "fencingToken"));
    }
  } else {
    // A strict server has token and ttl only in headers.
    grant.tokens.push_back(answer.token);
  }
  if (grant.tokens.size() != names.names.size() || !makes_sense(grant.ttl.count())) return garbage();
  return grant;
}

HttpRequest lease_post(std::string target, std::int64_t id) {
  return {.method = "POST", .target = std::move(target), .body = std::to_string(id)};
}

// For a refusal: it names the holder, and of several locks those that are in the way.
Error held_by_another(const HttpAnswer& answer) {
  std::string text = "held by ";
  auto object = object_of(answer);
  std::string owner = object ? text_in(*object, "owner") : std::string();
  text += owner.empty() ? "another" : owner;
  auto* blocked = object ? object->if_contains("blockedBy") : nullptr;
  if (blocked && blocked->is_array()) {
    const char* before = ": ";
    for (const json::value& name : blocked->get_array()) {
      if (name.is_string()) text.append(std::exchange(before, ", ")).append(name.get_string());
    }
  }
  return {Errc::held_by_another, std::move(text)};
}
Error lost() {
  return {Errc::lost, "it is not held any more"};
}

}  // namespace

Task<Result<HttpAnswer>> Calls::ask_in_line(HttpRequest request, InLine line, TimePoint until, Asked* asked) {
  HttpTrace trace;
  request.acquires = true;
  request.waits = line.wait;
  request.trace = &trace;
  auto answer = co_await http_.send(std::move(request), until);
  asked->sent = trace.sent;
  asked->cut = answer ? is_from_gateway(answer->status) : trace.closed;
  asked->later = answer && answer->status == 503 && answer->later;
  asked->knows_no_places = answer && answer->status == 400 && line.keep_place.count() > 0 &&
                           answer->body.find(kKeepPlace) != std::string::npos;
  co_return answer;
}

Task<Result<Grant>> Calls::acquire(Names names, std::chrono::seconds duration, InLine line, TimePoint until,
                                   Asked* asked) {
  JsonObject body = body_of(names);
  body.number("leaseDuration", duration.count());
  if (line.wait.count() > 0) body.number("wait", line.wait.count());
  if (line.keep_place.count() > 0) body.number(kKeepPlace, line.keep_place.count());
  HttpRequest request{.method = "POST", .target = path_of(names, "acquire"), .body = body.take()};
  auto answer = co_await ask_in_line(std::move(request), line, until, asked);
  if (!answer) co_return answer.error();
  if (answer->status == 200) co_return to_grant(names, *answer);
  if (answer->status == 423) co_return held_by_another(*answer);
  if (answer->status == 409) co_return Error{Errc::superseded, text_of(*answer)};
  co_return failure(*answer);
}

Task<Result<Grant>> Calls::renew(Names names, std::chrono::seconds duration, TimePoint until, Purpose purpose) {
  JsonObject body = body_of(names);
  body.number("leaseDuration", duration.count()).text("from", "now");
  HttpRequest request{.method = "POST", .target = path_of(names, "renew"), .body = body.take()};
  request.acquires = purpose == Purpose::acquiring;
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status == 200) co_return to_grant(names, *answer);
  if (answer->status == 423) co_return lost();
  co_return failure(*answer);
}

Task<Result<void>> Calls::release(Names names, TimePoint until) {
  HttpRequest request{.method = "POST", .target = path_of(names, "release"), .body = body_of(names).take()};
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status == 200) co_return Result<void>();
  if (answer->status == 423) co_return held_by_another(*answer);
  co_return failure(*answer);
}

Task<Result<LockState>> Calls::get(std::string namespace_name, std::string name, TimePoint until) {
  HttpRequest request{.method = "GET", .target = path_of(namespace_name, name)};
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return failure(*answer);
  auto object = object_of(*answer);
  if (!object) co_return object.error();
  LockState state{.held = object->contains("expiry"),
                  .owner = text_in(*object, "owner"),
                  .expiry = number_in(*object, "expiry"),
                  .token = answer->token,
                  .waiters = number_in(*object, "waiters")};
  co_return state;
}

Task<Result<Verdict>> Calls::verify(std::string namespace_name, std::string name, std::int64_t token, TimePoint until) {
  HttpRequest request{.method = "POST",
                      .target = path_of(namespace_name, name, "verify"),
                      .body = JsonObject().number("fencingToken", token).take()};
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return failure(*answer);
  auto object = object_of(*answer);
  if (!object) co_return object.error();
  auto* valid = object->if_contains("valid");
  if (!valid || !valid->is_bool()) co_return garbage();
  Verdict verdict{.valid = valid->get_bool(), .current = number_in(*object, "current")};
  co_return verdict;
}

Task<Result<void>> Calls::force_release(std::string namespace_name, std::string name, std::string reason,
                                        TimePoint until) {
  HttpRequest request{.method = "DELETE", .target = path_of(namespace_name, name)};
  request.headers.emplace_back("X-Admin-Token", admin_token_);
  if (!reason.empty()) request.headers.emplace_back("X-Reason", std::move(reason));
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status != 200) co_return failure(*answer);
  co_return Result<void>();
}

Task<Result<LeaseGrant>> Calls::grant(LeaseRequest lease, InLine line, TimePoint until, Asked* asked) {
  HttpRequest request{.method = "POST",
                      .target = "/lease",
                      .body = JsonObject().text("key", lease.key).text("value", lease.value).take()};
  auto add = [&request](const char* name, std::chrono::seconds span) {
    if (span.count() > 0) request.headers.emplace_back(name, std::to_string(span.count()) + "s");
  };
  request.headers.emplace_back("x-lease-id", std::to_string(lease.id));
  request.headers.emplace_back("x-lease-ttl", std::to_string(lease.ttl.count()) + "s");
  add("x-lease-wait", line.wait);
  add("x-lease-keep-place", line.keep_place);
  auto answer = co_await ask_in_line(std::move(request), line, until, asked);
  if (!answer) co_return answer.error();
  if (answer->status == 202) co_return held_by_another(*answer);
  if (answer->status != 201) co_return failure(*answer);
  if (!makes_sense(answer->ttl)) co_return garbage();
  LeaseGrant grant{
      .id = lease.id, .token = answer->token, .ttl = std::chrono::seconds(answer->ttl), .sent = answer->sent};
  co_return grant;
}

Task<Result<LeaseGrant>> Calls::keep_alive(std::int64_t id, TimePoint until, Purpose purpose) {
  HttpRequest request = lease_post("/keepalive", id);
  request.acquires = purpose == Purpose::acquiring;
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status == 204) co_return lost();
  if (answer->status != 200) co_return failure(*answer);
  if (!makes_sense(answer->ttl)) co_return garbage();
  LeaseGrant grant{.id = id, .token = 0, .ttl = std::chrono::seconds(answer->ttl), .sent = answer->sent};
  co_return grant;
}

Task<Result<void>> Calls::release_lease(std::int64_t id, TimePoint until) {
  HttpRequest request = lease_post("/release", id);
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  if (answer->status == 204) co_return lost();
  if (answer->status != 200) co_return failure(*answer);
  co_return Result<void>();
}

Task<Result<LeaseState>> Calls::get_lease(std::string key, TimePoint until) {
  HttpRequest request{.method = "GET", .target = "/lease?key=" + escape(key)};
  auto answer = co_await http_.send(std::move(request), until);
  if (!answer) co_return answer.error();
  LeaseState state;
  if (answer->status == 404) co_return state;
  if (answer->status != 200) co_return failure(*answer);
  auto object = object_of(*answer);
  if (!object) co_return object.error();
  state = {.held = true,
           .value = text_in(*object, "value"),
           .ttl = std::chrono::seconds(number_in(*object, "ttl")),
           .token = number_in(*object, "fencingToken")};
  co_return state;
}

std::int64_t random_lease_id() {
  constexpr std::uint64_t kLeast = std::uint64_t{1} << 40;
  for (;;) {
    std::uint64_t bits = random_bits() >> 1;
    if (bits >= kLeast) return static_cast<std::int64_t>(bits);
  }
}

}  // namespace sharedlock::client
