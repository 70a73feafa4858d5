#include "api/problem.h"

#include "base/json_text.h"
#include "base/random.h"

namespace sharedlock {

http::Response message_problem(int status, std::string_view message) {
  return {status, http::kJson, JsonObject().text("message", message).take()};
}

http::Response store_problem(const Error& error, const http::Request& request, Log& log) {
  bool retry = outcome_unknown(error.code) || error.code == Errc::overloaded;
  std::string_view message = "Internal server error";
  if (retry) message = "Lock store unavailable";
  if (error.code == Errc::corrupt) message = "Lock record unreadable";

  std::string error_id = random_uuid();
  log.write(LogLevel::error, message,
            {{"errorId", error_id}, {"request", request.id}, {"path", request.path}, {"error", error.message}});
  http::Response answer(retry ? 503 : 500, http::kJson,
                        JsonObject().text("message", message).text("errorId", error_id).take());
  if (retry) answer.add_header("Retry-After", 1);
  return answer;
}

}  // namespace sharedlock
