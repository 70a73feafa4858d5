#pragma once

// The asynchronous calls of Client and Holding, for any completion token of Boost.Asio: use_awaitable, use_future, a
// callback. All of it is compiled here, in the program that includes it: the library shares no Asio with it, so the
// program's may have other settings.
//
//   auto lock = co_await client.acquire("job", options, boost::asio::use_awaitable);
//   if (!lock) co_return;
//
// Completion: exactly once, by a post to the executor of the token (that of the coroutine, for use_awaitable), with the
// outcome as a value; errors are in its Result, and nothing is thrown for them. Blocking calls are allowed there, as
// the library's thread is not that of the executor. While a call is under way its io_context does not run out of work.
//
// Lifetime: the Client or Holding must live until the call has begun: for use_awaitable, until it is co_awaited. It may
// be destroyed afterwards, which ends the call: see the single calls. Names and options are copied.
//
// Cancellation: slots of Asio are ignored. LockOptions::wait() bounds an acquire, Client::stop_acquiring() ends it.
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "sharedlock/client.h"

namespace sharedlock::client {

namespace detail {

// Not for users. Calls `begin` with a std::function<void(T)>, and hands what that is called with to the token's
// executor.
template <class T, class Token, class Begin>
auto hand_over(Token&& token, Begin begin) {
  auto start = [](auto handler, auto first) {
    auto executor = boost::asio::get_associated_executor(handler);
    auto work = boost::asio::make_work_guard(executor);
    // std::function wants to be copied, and a coroutine's handler can't be.
    auto kept = std::make_shared<decltype(handler)>(std::move(handler));
    first([kept, executor, work](T value) {
      auto boxed = std::make_shared<T>(std::move(value));
      boost::asio::post(executor, [kept, boxed] { std::move (*kept)(std::move(*boxed)); });
    });
  };
  return boost::asio::async_initiate<Token, void(T)>(std::move(start), token, std::move(begin));
}

}  // namespace detail

// Client::acquire() for a completion token: completes with Result<Lock>, and the errors of that. `unavailable` where
// the Client is destroyed meanwhile.
template <class Token>
auto Client::acquire(const std::string& name, const LockOptions& options, Token&& token) {
  return detail::hand_over<Result<Lock>>(
      std::forward<Token>(token),
      [this, name, options](std::function<void(Result<Lock>)> done) { acquire_then(name, options, std::move(done)); });
}

// Likewise for Client::acquire_all().
template <class Token>
auto Client::acquire_all(const std::vector<std::string>& names, const LockOptions& options, Token&& token) {
  return detail::hand_over<Result<Lock>>(std::forward<Token>(token),
                                         [this, names, options](std::function<void(Result<Lock>)> done) {
                                           acquire_all_then(names, options, std::move(done));
                                         });
}

// Client::lease() likewise: completes with Result<Lease>.
template <class Token>
auto Client::lease(const std::string& key, const LeaseOptions& options, Token&& token) {
  return detail::hand_over<Result<Lease>>(
      std::forward<Token>(token),
      [this, key, options](std::function<void(Result<Lease>)> done) { lease_then(key, options, std::move(done)); });
}

// Completes when it is over, as Holding::when_over(): with true when it was lost, false when it was released, be it by
// its destruction. Several may wait.
template <class Token>
auto Holding::lost(Token&& token) {
  return detail::hand_over<bool>(std::forward<Token>(token),
                                 [this](std::function<void(bool)> done) { when_over(std::move(done)); });
}

}  // namespace sharedlock::client
