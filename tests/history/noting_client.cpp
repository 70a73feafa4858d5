#include "history/noting_client.h"

#include <boost/json.hpp>
#include <stdexcept>
#include <utility>

namespace sharedlock::test {

namespace {

using Kind = Operation::Kind;
using Answer = Operation::Answer;
using std::chrono::seconds;

// `name` of a JSON object without nesting.
std::int64_t number_in(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value ? value->to_number<std::int64_t>() : 0;
}

std::int64_t number_in(const std::optional<std::string>& header) {
  return header ? std::stoll(*header) : 0;
}

Answer answer_of(const http::TestResponse& response) {
  switch (response.status) {
    case 200:
    case 201:
      return Answer::done;
    case 202:
    case 423:
      return Answer::refused;
    case 204:
      return Answer::absent;
    default:  // 500, 503: the outcome is open
      return Answer::none;
  }
}

bool is_of_lease(const Operation& operation) {
  return operation.kind == Kind::grant || operation.kind == Kind::keep_alive || operation.kind == Kind::give_back;
}

void note_done(Operation& operation, const http::TestResponse& response) {
  if (is_of_lease(operation)) {
    operation.token = number_in(response.header("x-fencing-token"));
    operation.ttl = seconds(number_in(response.header("x-lease-ttl")));
    if (operation.kind == Kind::grant) operation.lease = std::stoll(response.body);
    return;
  }
  boost::json::object json = boost::json::parse(response.body).as_object();
  operation.token = number_in(json, "fencingToken");
  operation.ttl = seconds(number_in(json, "ttl"));
  if (const auto* owner = json.if_contains("owner")) operation.owner = owner->as_string();
  if (operation.kind == Kind::look && operation.token == 0) operation.answer = Answer::absent;
}

}  // namespace

void NotingClient::connect(std::uint16_t port, int life) {
  connection_.reset();
  life_ = life;
  connection_.emplace(port);
}

Operation NotingClient::acquire(const std::string& lock, int instance, seconds duration, seconds wait) {
  return change({.kind = Kind::acquire, .resource = lock, .instance = instance, .wait = wait}, "acquire",
                static_cast<int>(duration.count()));
}

Operation NotingClient::renew(const std::string& lock, int instance, seconds duration) {
  return change({.kind = Kind::renew, .resource = lock, .instance = instance, .wanted = duration}, "renew",
                static_cast<int>(duration.count()));
}

Operation NotingClient::release(const std::string& lock, int instance) {
  return change({.kind = Kind::release, .resource = lock, .instance = instance}, "release", 0);
}

Operation NotingClient::look(const std::string& lock) {
  return ask({.kind = Kind::look, .resource = lock}, "GET", "/v1/history/lock/" + lock);
}

Operation NotingClient::grant(const std::string& key, seconds ttl, seconds wait) {
  std::string headers = "x-lease-ttl: " + std::to_string(ttl.count()) + "s\r\n";
  if (wait.count() > 0) headers += "x-lease-wait: " + std::to_string(wait.count()) + "s\r\n";
  return ask({.kind = Kind::grant, .resource = key, .wait = wait}, "POST", "/lease",
             R"({"key":")" + key + R"(","value":"v"})", headers);
}

Operation NotingClient::keep_alive(const std::string& key, std::int64_t lease) {
  return ask({.kind = Kind::keep_alive, .resource = key, .lease = lease}, "POST", "/keepalive", std::to_string(lease));
}

Operation NotingClient::give_back(const std::string& key, std::int64_t lease) {
  return ask({.kind = Kind::give_back, .resource = key, .lease = lease}, "POST", "/release", std::to_string(lease));
}

std::vector<Operation> NotingClient::take_operations() {
  return std::exchange(operations_, {});
}

Operation NotingClient::change(Operation operation, std::string_view what, int duration) {
  std::string body = R"({"instanceId":"client-)" + std::to_string(static_cast<int>(client_)) + "-" +
                     std::to_string(operation.instance) + '"';
  if (duration != 0) body += R"(,"leaseDuration":)" + std::to_string(duration);
  if (operation.wait.count() > 0) body += R"(,"wait":)" + std::to_string(operation.wait.count());
  if (operation.kind == Kind::renew) body += R"(,"from":"now")";
  body += '}';
  std::string target = "/v1/history/lock/" + operation.resource + "/" + std::string(what);
  return ask(std::move(operation), "POST", target, body);
}

Operation NotingClient::ask(Operation operation, std::string_view method, const std::string& target,
                            const std::string& body, const std::string& headers) {
  operation.client = client_;
  operation.life = life_;
  operation.asked = std::chrono::steady_clock::now();
  auto patience = std::exchange(patience_, std::nullopt);
  try {
    connection_->send_request(method, target, body, headers);
    if (patience && !connection_->is_answered_within(*patience)) throw std::runtime_error("gave up");
    auto response = connection_->read_response();
    operation.answered = std::chrono::steady_clock::now();
    operation.answer = answer_of(response);
    if (operation.answer == Answer::done) note_done(operation, response);
  } catch (const std::runtime_error&) {
    operation.answered = std::chrono::steady_clock::now();
    operation.answer = Answer::none;
    operations_.push_back(std::move(operation));
    throw;
  }
  operations_.push_back(operation);
  return operation;
}

}  // namespace sharedlock::test
