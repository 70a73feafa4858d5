#include "store/etcd/rpc/error_class.h"

namespace sharedlock {

namespace {

using Next = EtcdErrorClass::Next;

bool says(std::string_view message, std::string_view words) {
  return message.find(words) != std::string_view::npos;
}

bool is_about_the_token(int code, std::string_view message) {
  return code == grpc_code::kUnauthenticated || says(message, "invalid auth token") ||
         says(message, "user name is empty") || says(message, "revision of auth store is old") ||
         says(message, "auth revision in header is old");
}

// Users, passwords, roles: nothing happened, and only an operator can change that.
bool is_about_permission(int code, std::string_view message) {
  return code == grpc_code::kPermissionDenied || says(message, "authentication failed") ||
         says(message, "authentication is not enabled");
}

EtcdErrorClass judge_exhausted(std::string_view message) {
  // "database space exceeded" may come for a transaction that was applied.
  bool not_done = says(message, "too many requests");
  return {Errc::unavailable, not_done, not_done ? Next::try_again : Next::give_up};
}

EtcdErrorClass judge_unavailable(std::string_view message) {
  // gRPC's own words when it had no connection to send the request over.
  bool not_sent = says(message, "failed to connect") || says(message, "connections to all backends failing") ||
                  says(message, "DNS resolution failed") || says(message, "empty address list");
  return {Errc::unavailable, not_sent, Next::try_again};
}

}  // namespace

std::string etcd_says(std::string_view endpoint, std::string_view message) {
  return "etcd at " + std::string(endpoint) + " says: " + std::string(message);
}

std::string etcd_trouble(std::string_view endpoint, int grpc_code, std::string_view message) {
  std::string etcd = "etcd at " + std::string(endpoint);
  if (grpc_code == kUnusableAnswer) return "the answer of " + etcd + " can't be used: " + std::string(message);
  if (message.starts_with("etcdserver: ")) return etcd_says(endpoint, message);
  std::string why = grpc_code == grpc_code::kDeadlineExceeded ? "no answer in time" : std::string(message);
  return "etcd does not answer at " + std::string(endpoint) + ": " + why;
}

bool says_no_space(std::string_view message) {
  return says(message, "database space exceeded");
}

EtcdErrorClass classify_etcd_error(int grpc_code, std::string_view message) {
  if (is_about_the_token(grpc_code, message)) return {Errc::unavailable, true, Next::renew_token};
  if (is_about_permission(grpc_code, message)) return {Errc::unavailable, true, Next::give_up};
  switch (grpc_code) {
    case grpc_code::kNotFound:
      if (says(message, "lease not found")) return {Errc::lease_not_found, true, Next::give_up};
      break;
    case grpc_code::kFailedPrecondition:
      if (says(message, "lease already exists")) return {Errc::lease_in_use, true, Next::give_up};
      break;
    case grpc_code::kInvalidArgument:
    case grpc_code::kOutOfRange:
      return {Errc::invalid_argument, true, Next::give_up};
    case grpc_code::kResourceExhausted:
      return judge_exhausted(message);
    case grpc_code::kUnavailable:
      return judge_unavailable(message);
    default:
      break;
  }
  return {Errc::unavailable, false, Next::try_again};
}

}  // namespace sharedlock
