// The kernels of one instruction set, for rows of one type of numbers and gamma and beta of one: what simdnorm_add_dispatch
// compiles, once for each, with
//   SIMDNORM_DISPATCH_SET         an InstructionSet, for which the compiler's flags are
//   SIMDNORM_DISPATCH_ROWS        float, double, BFloat16 or Float16
//   SIMDNORM_DISPATCH_PARAMETERS  the same, or float
//
// A function that is compiled under other flags than its namesake in another file may not have its name: the linker keeps
// one of both. So all of simdnorm but the data that a call consists of is here in a namespace of the instruction set's own.
#pragma once

#if !defined(SIMDNORM_DISPATCH_SET) || !defined(SIMDNORM_DISPATCH_ROWS) || \
    !defined(SIMDNORM_DISPATCH_PARAMETERS)
#error "simdnorm: dispatch/kernels.hpp is for the sources that simdnorm_add_dispatch makes"
#endif
#undef SIMDNORM_DISPATCH  // what is compiled here is not dispatched again
#include "call.hpp"

#define simdnorm simdnorm::SIMDNORM_DISPATCH_SET
#include "../kernel/backward.hpp"
#include "../kernel/forward.hpp"
#include "../kernel/residual_add.hpp"
#include "../kernel/residual_sum.hpp"

namespace simdnorm {

template <NormKind Norm, class T>
using StatisticOf = std::conditional_t<Norm == NormKind::layer, Variance<T>, MeanSquare<T>>;
template <CastingKind Casting>
using CastingOf =
    std::conditional_t<Casting == CastingKind::round_once, RoundOnce,
                       std::conditional_t<Casting == CastingKind::round_xhat, RoundXhat, OnePlusGamma>>;

/// The threshold of the calling part of the program becomes that of this one, which has its own.
inline void take_streaming_threshold(Index bytes) {
  if (streaming_threshold_setting.load(std::memory_order_relaxed) != bytes) set_streaming_threshold(bytes);
}

// Of each kind of x and of dx by itself: one function for both would keep what the other needs.
template <NormKind Norm, CastingKind Casting, class Call, class X>
SIMDNORM_NOINLINE void run_forward(const Call& call, const X& x) {
  forward_rows<StatisticOf<Norm, typename Call::T>, CastingOf<Casting>>(
      call.shape, x, call.gamma, call.beta, call.epsilon, *call.y, call.moments, call.executor);
}
template <NormKind Norm, CastingKind Casting, class Call, class Dx>
SIMDNORM_NOINLINE void run_backward(const Call& call, const Dx& dx) {
  backward_rows<StatisticOf<Norm, typename Call::T>, CastingOf<Casting>>(
      call.shape, *call.dy, *call.x, call.gamma, call.moments, dx, call.dgamma, call.dbeta,
      {call.accumulate, call.workspace}, call.executor);
}

template <NormKind Norm, CastingKind Casting, class U, class P>
SIMDNORM_INLINE void run(const ForwardCall<U, P>& call) {
  take_streaming_threshold(call.streaming_threshold);
  if (call.residual == nullptr) {
    run_forward<Norm, Casting>(call, *call.x);
  } else {
    run_forward<Norm, Casting>(call, residual_sum(*call.x, *call.residual, *call.sum));
  }
}
template <NormKind Norm, CastingKind Casting, class U, class P>
SIMDNORM_INLINE void run(const BackwardCall<U, P>& call) {
  take_streaming_threshold(call.streaming_threshold);
  if (call.addend == nullptr) {
    run_backward<Norm, Casting>(call, *call.dx);
  } else {
    run_backward<Norm, Casting>(call, added(*call.addend, *call.dx));
  }
}

}  // namespace simdnorm
#undef simdnorm

namespace simdnorm {

template <InstructionSet, NormKind Norm, CastingKind Casting, class Call> void run_call(const Call& call) {
  if constexpr (has_casting<Norm, Casting, typename Call::Rows>())
    SIMDNORM_DISPATCH_SET::run<Norm, Casting>(call);
}
#define SIMDNORM_KERNELS(call, norm, casting)                                                          \
  template void run_call<InstructionSet::SIMDNORM_DISPATCH_SET, NormKind::norm, CastingKind::casting>( \
      const call<SIMDNORM_DISPATCH_ROWS, SIMDNORM_DISPATCH_PARAMETERS>&)
#define SIMDNORM_KERNELS_OF(call)            \
  SIMDNORM_KERNELS(call, layer, round_once); \
  SIMDNORM_KERNELS(call, rms, round_once);   \
  SIMDNORM_KERNELS(call, rms, round_xhat);   \
  SIMDNORM_KERNELS(call, rms, one_plus_gamma)
SIMDNORM_KERNELS_OF(ForwardCall);
SIMDNORM_KERNELS_OF(BackwardCall);

}  // namespace simdnorm
