#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace sharedlock {

template <class Signature>
class FunctionRef;

// Refers to a function object that outlives it: for what is called while a call lasts, where a std::function would be
// moved and destroyed with all that it may hold. As thread-safe as the function object.
template <class Result, class... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <class Function>
    requires std::is_invocable_r_v<Result, const Function&, Args...>
  explicit FunctionRef(const Function& function)
      : function_(std::addressof(function)), call_([](const void* object, Args... args) -> Result {
          return (*static_cast<const Function*>(object))(std::forward<Args>(args)...);
        }) {}
  // It would be gone at the end of the expression.
  template <class Function>
    requires(!std::same_as<Function, FunctionRef>)
  explicit FunctionRef(const Function&&) = delete;

  Result operator()(Args... args) const { return call_(function_, std::forward<Args>(args)...); }

 private:
  const void* function_;
  Result (*call_)(const void*, Args...);
};

}  // namespace sharedlock
