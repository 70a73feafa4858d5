#include "api/problem.h"

#include "base/json_text.h"
#include "base/random.h"

namespace sharedlock {

std::string_view sent_elsewhere_because(WaitEnd end) {
  return end == WaitEnd::store_lost ? kStoreUnavailable : "Server is draining";
}

http::Response message_problem(int status, std::string_view message) {
  return {status, http::kJson, JsonObject().text("message", message).take()};
}

http::Response invalid_path(const ValidationErrors& errors) {
  return {400, http::kJson, validation_json("Validation failed", errors)};
}

http::Response invalid_body(const ValidationErrors& errors) {
  return {400, http::kJson, validation_json("JSON validation failed", errors)};
}

http::Response store_problem(const Error& error, const http::Request& request, Log& log) {
  bool retry = outcome_unknown(error.code) || error.code == Errc::overloaded;
  std::string_view message = "Internal server error";
  if (retry) message = kStoreUnavailable;
  if (error.code == Errc::corrupt) message = "Lock record unreadable";

  std::string error_id = random_uuid();
  log.write(LogLevel::error, message,
            {{"errorId", error_id}, {"request", request.id}, {"path", request.path}, {"error", error.message}});
  http::Response answer(retry ? 503 : 500, http::kJson,
                        JsonObject().text("message", message).text("errorId", error_id).take());
  if (retry) answer.add_header("Retry-After", 1);
  return answer;
}

http::Response too_many_waiters() {
  http::Response response = message_problem(503, kTooManyWaiters);
  response.add_header("Retry-After", 1);
  return response;
}

http::Response wait_problem(WaitEnd end) {
  if (end == WaitEnd::superseded) return message_problem(409, "A newer request of this instance waits for the lock");
  if (end == WaitEnd::disconnected) return message_problem(400, kDisconnected);
  http::Response response = message_problem(503, sent_elsewhere_because(end));
  response.add_header("Retry-After", 1);
  return response;
}

}  // namespace sharedlock
