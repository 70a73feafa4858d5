#pragma once

#include <algorithm>
#include <array>
#include <boost/endian/conversion.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sharedlock {

// Keeps nodes in key order (bytes compared), in pages of a few hundred: finding a place among a million reads a few
// cache lines, where a tree of nodes would read some forty. The nodes belong to the caller and must outlive their stay.
// Not thread-safe.
//
// `Traits` has: std::string_view key_of(const Node&).
template <class Node, class Traits>
class OrderedIndex {
 public:
  // No node with that key may be in.
  void insert(Node& node) {
    std::string_view key = Traits::key_of(node);
    auto at = page_of(key);
    std::size_t place = place_of(at->second, key);
    if (at->second.slots.size() == kMost) {
      at = split(at, place, key);
      place = place_of(at->second, key);
    }
    Page& page = at->second;
    page.slots.insert(page.slots.begin() + static_cast<std::ptrdiff_t>(place), Slot{head_of(key, page.common), &node});
  }

  // The node must be in.
  void erase(Node& node) {
    std::string_view key = Traits::key_of(node);
    auto at = page_of(key);
    Slots& slots = at->second.slots;
    slots.erase(slots.begin() + static_cast<std::ptrdiff_t>(place_of(at->second, key)));
    if (slots.size() >= kFew) return;
    if (auto next = std::next(at); next != pages_.end()) join(at, next);
    if (at != pages_.begin()) join(std::prev(at), at);
  }

  // Calls visit(node) for each node in order, beginning with the first key not less than `from`, until visit returns
  // false or there are no more. Nothing may be inserted or erased meanwhile.
  template <class Visit>
  void walk(std::string_view from, Visit visit) const {
    auto at = page_of(from);
    std::size_t place = place_of(at->second, from);
    for (; at != pages_.end(); ++at, place = 0) {
      const Slots& slots = at->second.slots;
      for (; place < slots.size(); ++place) {
        if (!visit(static_cast<const Node&>(*slots[place].node))) return;
      }
    }
  }

  // Forgets all nodes, and calls dispose(Node*) for each.
  template <class Dispose>
  void clear_and_dispose(Dispose dispose) {
    Pages pages = std::exchange(pages_, first_page());
    for (auto& [lowest, page] : pages) {
      for (const Slot& slot : page.slots) dispose(slot.node);
    }
  }

 private:
  // Eight bytes of the key, after the prefix that all keys of the page share, as a number that compares like them. Only
  // if two such numbers are equal are the keys themselves compared.
  struct Slot {
    std::uint64_t head;
    Node* node;
  };
  using Slots = std::vector<Slot>;  // in order of keys
  struct Page {
    std::size_t common = 0;  // length of the common prefix of all keys that belong here
    Slots slots;
  };
  using Pages = std::map<std::string, Page, std::less<>>;  // by the lowest key that belongs there
  using At = typename Pages::iterator;

  static constexpr std::size_t kMost = 256;
  static constexpr std::size_t kFew = kMost / 4;

  static Pages first_page() {
    Pages pages;
    pages.try_emplace({});
    return pages;
  }

  At page_of(std::string_view key) { return std::prev(pages_.upper_bound(key)); }
  auto page_of(std::string_view key) const { return std::prev(pages_.upper_bound(key)); }

  static std::uint64_t head_of(std::string_view key, std::size_t common) {
    std::array<unsigned char, sizeof(std::uint64_t)> head{};  // the rest of a short key is zeros
    if (key.size() >= common + head.size()) {
      std::memcpy(head.data(), key.data() + common, head.size());
    } else if (key.size() > common) {
      std::memcpy(head.data(), key.data() + common, key.size() - common);
    }
    return boost::endian::load_big_u64(head.data());
  }

  static std::size_t place_of(const Page& page, std::string_view key) {
    std::uint64_t head = head_of(key, page.common);
    auto is_before = [head](const Slot& slot, std::string_view sought) {
      return slot.head != head ? slot.head < head : Traits::key_of(*slot.node) < sought;
    };
    auto place = std::lower_bound(page.slots.begin(), page.slots.end(), key, is_before);
    return static_cast<std::size_t>(place - page.slots.begin());
  }

  // Makes room in a full page for a key at `place`, and returns the page to which it then belongs. Keys that arrive in
  // order leave full pages behind.
  At split(At at, std::size_t place, std::string_view key) {
    Slots& slots = at->second.slots;
    std::size_t left = place == slots.size() ? place : slots.size() / 2;
    std::string lowest(left == slots.size() ? key : Traits::key_of(*slots[left].node));
    auto right = pages_.emplace_hint(std::next(at), std::move(lowest), Page());
    auto cut = slots.begin() + static_cast<std::ptrdiff_t>(left);
    right->second.slots.assign(cut, slots.end());
    slots.erase(cut, slots.end());
    measure(at);
    measure(right);
    return key < right->first ? at : right;
  }

  // Merges two neighbours if that leaves room, or one of them is empty.
  void join(At left, At right) {
    Slots& slots = left->second.slots;
    Slots& more = right->second.slots;
    if (slots.size() + more.size() > kMost / 2 && !slots.empty() && !more.empty()) return;
    slots.insert(slots.end(), more.begin(), more.end());
    pages_.erase(right);
    measure(left);
  }

  // The common prefix of its keys is that of its lowest key and the next page's lowest key.
  void measure(At at) {
    auto next = std::next(at);
    const std::string& low = at->first;
    std::size_t common = 0;
    if (next != pages_.end()) {
      auto differs = std::mismatch(low.begin(), low.end(), next->first.begin(), next->first.end());
      common = static_cast<std::size_t>(differs.first - low.begin());
    }
    at->second.common = common;
    for (Slot& slot : at->second.slots) slot.head = head_of(Traits::key_of(*slot.node), common);
  }

  Pages pages_ = first_page();  // never empty; the first begins with the empty key
};

}  // namespace sharedlock
