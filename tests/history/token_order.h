#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "history/history.h"

namespace sharedlock::test {

inline bool begins_holding(const Operation& operation) {
  return operation.kind == Operation::Kind::acquire || operation.kind == Operation::Kind::grant;
}

// Whether its answer has the token of the resource's holder.
inline bool tells_token(const Operation& operation) {
  bool by_kind =
      begins_holding(operation) || operation.kind == Operation::Kind::renew || operation.kind == Operation::Kind::look;
  return by_kind && operation.answer == Operation::Answer::done;
}

// When tokens were given, from the order of all of them.
class TokenOrder {
 public:
  explicit TokenOrder(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) {
      if (!tells_token(operation)) continue;
      Moment& by = given_by_.try_emplace(operation.token, kNever).first->second;
      by = std::min(by, operation.answered);
    }
    Moment by = kNever;
    for (auto at = given_by_.rbegin(); at != given_by_.rend(); ++at) by = at->second = std::min(by, at->second);
  }

  // Of a token that is in an answer.
  Moment given_by(std::int64_t token) const { return given_by_.at(token); }

 private:
  std::map<std::int64_t, Moment> given_by_;
};

}  // namespace sharedlock::test
