#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sharedlock {

// gRPC's status codes, as its specification numbers them.
namespace grpc_code {
inline constexpr int kCancelled = 1;
inline constexpr int kInvalidArgument = 3;
inline constexpr int kDeadlineExceeded = 4;
inline constexpr int kNotFound = 5;
inline constexpr int kPermissionDenied = 7;
inline constexpr int kResourceExhausted = 8;
inline constexpr int kFailedPrecondition = 9;
inline constexpr int kOutOfRange = 11;
inline constexpr int kUnavailable = 14;
inline constexpr int kUnauthenticated = 16;
}  // namespace grpc_code

// What an unsuccessful call to etcd means.
struct EtcdErrorClass {
  enum class Next {
    give_up,      // another try would end the same way
    try_again,    // at another endpoint, or a little later
    renew_token,  // the token of authentication has expired, or etcd wants one now
  };

  Errc code;             // for the caller
  bool surely_not_done;  // etcd changed nothing; otherwise that is unknown
  Next next;

  bool operator==(const EtcdErrorClass&) const = default;
};

// Classifies a gRPC status that is not OK. etcd distinguishes its errors in the message; the codes alone don't tell a
// lease that is gone from a member that is away.
EtcdErrorClass classify_etcd_error(int grpc_code, std::string_view message);

// In place of a gRPC code: there was an answer, but one that must not be relied on. The message says what is wrong with
// it.
inline constexpr int kUnusableAnswer = 0;

// For people: etcd's message; and why a call failed: etcd's error, an unusable answer, or no answer.
std::string etcd_says(std::string_view endpoint, std::string_view message);
std::string etcd_trouble(std::string_view endpoint, int grpc_code, std::string_view message);

// Whether etcd's quota is used up: it accepts no more data until an operator has made room.
bool says_no_space(std::string_view message);

}  // namespace sharedlock
