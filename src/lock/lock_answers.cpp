#include "lock/lock_answers.h"

#include <utility>

namespace sharedlock {

LockAnswer to_answer(Decided&& decided, std::int64_t token_base) {
  auto* write = std::get_if<WriteRecord>(&decided.decision);
  if (!write) return std::get<Refused>(std::move(decided.decision));
  FencingToken token = write->record.carried_token.value_or(token_at(decided.revision, token_base));
  bool replaces = !changes_hands(decided.decision, decided.seen);
  return LockAnswer(std::in_place_type<LockGrant>, std::move(write->record), token, write->ttl, decided.revision,
                    /*waited=*/false, replaces);
}

SetGrant to_grants(std::vector<Decided> all, std::int64_t token_base) {
  SetGrant grants;
  for (Decided& one : all) grants.push_back(std::get<LockGrant>(to_answer(std::move(one), token_base)));
  return grants;
}

}  // namespace sharedlock
