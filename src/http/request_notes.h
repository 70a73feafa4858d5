#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/head_scan.h"
#include "http/message.h"
#include "http/request_parser.h"

namespace sharedlock::http {

// What a RequestParser has read of a request, in memory that the next request reuses. For request_parser.cpp alone.
struct RequestNotes {
  // A piece of the arena, which may move while the header still grows.
  struct Piece {
    std::size_t from = 0;
    std::size_t size = 0;
  };

  // Kept from one request to the next, enough for those of API clients; an idle connection should cost little, whatever
  // came before.
  static constexpr std::size_t kKeptArena = 1024;
  static constexpr std::size_t kKeptBody = 512;
  static constexpr std::size_t kKeptHeaderLines = 16;

  std::string arena;  // method, target, and the names and values of the headers; or the whole of an ordinary head
  Piece method_name;
  Piece target;
  std::vector<std::pair<Piece, Piece>> fields;  // until the header is complete
  std::vector<Header> headers;                  // from then on
  std::string body;
  std::optional<Refusal> refusal;
  std::optional<std::uint64_t> content_length;
  Method method = Method::other;
  RequestParser::Expectation expectation = RequestParser::Expectation::none;
  bool http11 = false;
  bool keep_alive = false;
  bool header_complete = false;
  int hosts = 0;
  int content_lengths = 0;
  std::uint64_t chunk_left = 0;

  std::string_view text(Piece piece) const { return std::string_view(arena).substr(piece.from, piece.size); }

  Piece keep(std::string_view text) {
    Piece piece{arena.size(), text.size()};
    arena.append(text);
    return piece;
  }

  // All of a head that stands at the beginning of `bytes`: in one piece, since the bytes are the caller's and don't
  // stay.
  void keep(std::string_view bytes, const OrdinaryHead& head) {
    // Where it has to grow, a new one: the old one would double, and clear() would free it, for every such head.
    if (arena.capacity() < head.size) std::string().swap(arena);
    arena.assign(bytes.substr(0, head.size));
    auto kept = [&bytes](std::string_view part) {
      return Piece{static_cast<std::size_t>(part.data() - bytes.data()), part.size()};
    };
    method = head.method;
    method_name = {0, name_of(method).size()};
    target = kept(head.target);
    headers.reserve(head.fields.size());
    for (const Header& field : head.fields) headers.push_back({text(kept(field.name)), text(kept(field.value))});
    content_length = head.content_length;
    keep_alive = head.keep_alive;
    http11 = header_complete = true;
  }

  void clear() {
    clear_keeping(arena, kKeptArena);
    method_name = target = {};
    clear_keeping(fields, kKeptHeaderLines);
    clear_keeping(headers, kKeptHeaderLines);
    clear_keeping(body, kKeptBody);
    refusal.reset();
    content_length.reset();
    method = Method::other;
    expectation = RequestParser::Expectation::none;
    http11 = keep_alive = header_complete = false;
    hosts = content_lengths = 0;
    chunk_left = 0;
  }

 private:
  template <class Container>
  static void clear_keeping(Container& container, std::size_t kept) {
    if (container.capacity() > kept) {
      Container().swap(container);
    } else {
      container.clear();
    }
  }
};

}  // namespace sharedlock::http
