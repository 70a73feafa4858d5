#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sharedlock {

namespace asio = boost::asio;

// Every coroutine of the server runs on one I/O thread's io_context and never leaves it. The executor's type is not
// erased: erasing it costs a virtual call and an allocation on each resumption.
using Executor = asio::io_context::executor_type;

// A lazily started coroutine; it runs when awaited or spawned (see task_group.h). Nothing is ever detached.
template <class T>
using Task = asio::awaitable<T, Executor>;

// The completion token that makes an Asio operation awaitable in a Task.
inline constexpr asio::use_awaitable_t<Executor> use_task{};

}  // namespace sharedlock
