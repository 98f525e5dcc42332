// Run-time dispatch (simdnorm_add_dispatch of CMake): what goes from a call to the kernels that are compiled for one
// instruction set each. These are data; the little code that they have is part of whoever uses it.
#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

#include "../storage.hpp"
#include "instruction_set.hpp"

namespace simdnorm {

// --- which kernels ---

enum class NormKind { layer, rms };
enum class CastingKind { round_once, round_xhat, one_plus_gamma };

/// Which castings there are kernels for, where rows hold U.
template <NormKind Norm, CastingKind Casting, class U> constexpr bool has_casting() {
  return Casting == CastingKind::round_once ||
         (Norm == NormKind::rms && (Casting == CastingKind::one_plus_gamma || !std::is_floating_point_v<U>));
}

#if defined(SIMDNORM_DISPATCH)  // the types that rows may hold, float, double, BFloat16 or Float16
template <class U, class... Types> constexpr bool is_one_of() { return (std::is_same_v<U, Types> || ...); }
template <class U> constexpr bool has_kernels = is_one_of<U, SIMDNORM_DISPATCH>();
#else
template <class U> constexpr bool has_kernels = false;
#endif
/// A call is dispatched if its rows all hold U, gamma and beta P, which is U or float, and dgamma and dbeta what it computes in.
/// Any other runs on kernels that are compiled where it is made.
template <NormKind Norm, CastingKind Casting, class U, class P>
constexpr bool is_dispatched = has_kernels<U>&& has_casting<Norm, Casting, U>() &&
                               (std::is_same_v<P, U> ||
                                (std::is_same_v<P, float> && !std::is_floating_point_v<U>));

// --- calls ---

/// Any executor, as two pointers; Serial, as none.
struct AnyExecutor {
  const void* executor;
  void (*run)(const void* executor, Index tasks, Index elements_per_task, const void* f,
              void (*call)(const void* f, Index task));

  template <class F> SIMDNORM_INLINE void operator()(Index tasks, Index elements_per_task, const F& f) const {
    if (run == nullptr) {
      Serial{}(tasks, elements_per_task, f);
    } else {
      run(executor, tasks, elements_per_task, &f,
          [](const void* function, Index task) { (*static_cast<const F*>(function))(task); });
    }
  }
};
SIMDNORM_INLINE AnyExecutor any_executor(const Serial&) { return {nullptr, nullptr}; }
SIMDNORM_INLINE AnyExecutor any_executor(const AnyExecutor& executor) { return executor; }
template <class Executor> AnyExecutor any_executor(const Executor& executor) {
  return {&executor, [](const void* e, Index tasks, Index elements_per_task, const void* f,
                        void (*call)(const void*, Index)) {
            (*static_cast<const Executor*>(e))(tasks, elements_per_task, [=](Index task) { call(f, task); });
          }};
}

/// y = norm(x), or, where there are residual and sum, norm(x + residual), with the sum kept. Rows as pointers: a copy that the
/// caller makes in parts and a kernel reads whole would cost more than the call itself.
template <class U, class P> struct ForwardCall {
  using Rows = U;
  using Parameters = P;
  using T = std::conditional_t<std::is_same_v<U, double>, double, float>;
  RowShape shape;
  const Strided<const U>* x;
  const P *gamma, *beta;
  T epsilon;
  const Strided<U>* y;
  RowMoments<T>* moments;
  Index streaming_threshold;
  AnyExecutor executor;
  const Strided<const U>* residual;
  const Strided<U>* sum;
};

/// dx = the gradient of x, or, where there is an addend, that + addend; dgamma and dbeta.
template <class U, class P> struct BackwardCall {
  using Rows = U;
  using Parameters = P;
  using T = typename ForwardCall<U, P>::T;
  RowShape shape;
  const Strided<const U>*dy, *x;
  const P* gamma;
  const RowMoments<T>* moments;
  const Strided<U>* dx;
  T *dgamma, *dbeta;
  bool accumulate;
  void* workspace;
  Index streaming_threshold;
  AnyExecutor executor;
  const Strided<const U>* addend;
};

/// The kernels of one instruction set, compiled by dispatch/kernels.hpp.
template <InstructionSet Set, NormKind Norm, CastingKind Casting, class Call> void run_call(const Call& call);

/// Runs a call on the kernels of the chosen instruction set.
template <NormKind Norm, CastingKind Casting, class Call, std::size_t... I>
auto chosen_kernels(std::index_sequence<I...>) {
  void (*kernels)(const Call&) = nullptr;
  const InstructionSet chosen = instruction_set();
  ((dispatched_sets[I] == chosen ? void(kernels = &run_call<dispatched_sets[I], Norm, Casting, Call>)
                                 : void()),
   ...);
  return kernels;
}
template <NormKind Norm, CastingKind Casting, class Call> void dispatch(const Call& call) {
  static const auto kernels =
      chosen_kernels<Norm, Casting, Call>(std::make_index_sequence<std::size(dispatched_sets)>{});
  kernels(call);
}

}  // namespace simdnorm
