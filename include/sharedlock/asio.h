#pragma once

// The asynchronous calls of Client and Holding, for any completion token of Boost.Asio: use_awaitable, use_future, a
// callback. All of it is compiled here, in the program that includes it: the library shares no Asio with it.
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "sharedlock/client.h"

namespace sharedlock::client {

namespace detail {

// Starts `begin(std::function<void(T)>)`, and hands what it is called with to the token's executor.
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

template <class Token>
auto Client::acquire(const std::string& name, const LockOptions& options, Token&& token) {
  return detail::hand_over<Result<Lock>>(
      std::forward<Token>(token),
      [this, name, options](std::function<void(Result<Lock>)> done) { acquire_then(name, options, std::move(done)); });
}

template <class Token>
auto Client::acquire_all(const std::vector<std::string>& names, const LockOptions& options, Token&& token) {
  return detail::hand_over<Result<Lock>>(std::forward<Token>(token),
                                         [this, names, options](std::function<void(Result<Lock>)> done) {
                                           acquire_all_then(names, options, std::move(done));
                                         });
}

template <class Token>
auto Client::lease(const std::string& key, const LeaseOptions& options, Token&& token) {
  return detail::hand_over<Result<Lease>>(
      std::forward<Token>(token),
      [this, key, options](std::function<void(Result<Lease>)> done) { lease_then(key, options, std::move(done)); });
}

template <class Token>
auto Holding::lost(Token&& token) {
  return detail::hand_over<bool>(std::forward<Token>(token),
                                 [this](std::function<void(bool)> done) { when_over(std::move(done)); });
}

}  // namespace sharedlock::client
