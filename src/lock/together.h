#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lock/decided.h"
#include "queue/line_book.h"
#include "store/lease_store.h"

namespace sharedlock {

// Locks that change in one commit, with the places of a waiter that has waited for them: what is known to stand there,
// and what the next commit expects and changes. Not thread-safe.
class Together {
 public:
  explicit Together(std::vector<std::string> keys);

  // Where a lock changes hands its line must be empty: lines[i] for keys[i].
  void keep_clear(std::vector<std::string> lines) { lines_ = std::move(lines); }
  // These places are erased too; as long as they are known to stand unchanged, the commit expects that.
  void give_up(LineBook::Join places) { places_ = std::move(places); }

  const std::vector<std::string>& keys() const { return keys_; }
  // As seen last; before the first look, as if nothing stood there.
  const std::vector<std::optional<Entry>>& stands() const { return stands_; }
  bool is_in_line(std::size_t i) const { return in_line_[i]; }  // its line is not empty, so keys[i] can't change hands
  LineBook::Places places() const { return places_stand_; }
  Revision as_of() const { return as_of_; }

  // Changes nothing and always conflicts; the conflict is for saw().
  Transaction look() const;
  void saw(Conflict conflict);

  // Carries out these decisions, if all is still as it was seen: then call won(), else lost().
  Transaction change(const std::vector<Decided>& all) const;
  void lost(Conflict conflict, const std::vector<Decided>& all);
  void won(Revision revision) { as_of_ = revision; }

 private:
  bool is_newcomer(const Decided& one) const;
  bool expects_places() const { return places_stand_ == LineBook::Places::there; }

  std::vector<std::string> keys_;
  std::vector<std::string> lines_;
  LineBook::Join places_;
  LineBook::Places places_stand_ = LineBook::Places::there;
  std::vector<std::optional<Entry>> stands_;
  std::vector<bool> in_line_;
  Revision as_of_{};
};

}  // namespace sharedlock
