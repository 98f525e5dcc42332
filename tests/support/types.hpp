// Norms whose operands hold any types, beside the norm of the converted operands in the type that both compute in: what
// the first must give is the second, rounded.
#pragma once

#include <gtest/gtest.h>

#include <simdnorm/pointers.hpp>

#include "support/calls.hpp"
#include "support/number_formats.hpp"

namespace support {

using simdnorm::BFloat16;
using simdnorm::Float16;

// --- arrays with strides ---

// Memory whose bytes say that nobody wrote there.
constexpr unsigned char unwritten = 0xa5;
template <class U> std::vector<U> unwritten_array(Index count) {
  std::vector<U> out(size(count));
  if (count > 0) std::memset(static_cast<void*>(out.data()), unwritten, out.size() * sizeof(U));
  return out;
}

// Where the elements of (rows, hidden) lie in a larger array.
struct Places {
  RowShape shape;
  Index outer, column;

  Index of(Index r, Index c) const { return r / shape.after * outer + c * column + r % shape.after; }
  Index extent() const { return of(shape.rows - 1, shape.hidden - 1) + 1; }
  // (rows, hidden) with what lies between unwritten.
  template <class U> std::vector<U> spread(const std::vector<U>& rows) const {
    std::vector<U> out = unwritten_array<U>(extent());
    for (Index r = 0; r < shape.rows; ++r) {
      for (Index c = 0; c < shape.hidden; ++c) out[size(of(r, c))] = rows[size(r * shape.hidden + c)];
    }
    return out;
  }
  template <class U> std::vector<U> gather(const std::vector<U>& strided) const {
    std::vector<U> out(size(shape.rows * shape.hidden));
    for (Index r = 0; r < shape.rows; ++r) {
      for (Index c = 0; c < shape.hidden; ++c) out[size(r * shape.hidden + c)] = strided[size(of(r, c))];
    }
    return out;
  }
  template <class U> Strided<const U> read(const std::vector<U>& data) const {
    return {data.data(), outer, column};
  }
  template <class U> Strided<U> write(std::vector<U>& data) const { return {data.data(), outer, column}; }
};
inline Places contiguous(Index rows, Index hidden) { return {{rows, hidden}, hidden, 1}; }
inline Places in_wider_rows(Index rows, Index hidden) { return {{rows, hidden}, hidden + 3, 1}; }
inline Places spaced(Index rows, Index hidden) { return {{rows, hidden}, 2 * hidden + 1, 2}; }
inline Places side_by_side(Index items, Index after, Index hidden) {
  return {{items * after, hidden, after}, hidden * after, after};
}
inline std::string describe(const Places& places) {
  return std::to_string(places.shape.rows) + "x" + std::to_string(places.shape.hidden) + ", side by side " +
         std::to_string(places.shape.after) + ", strides " + std::to_string(places.outer) + ", " +
         std::to_string(places.column);
}

// --- problems ---

// Operands as they lie in memory. P: gamma and beta.
template <class X, class P, class Dy = float> struct Stored {
  std::vector<X> x;
  std::vector<Dy> dy;
  std::vector<P> gamma, beta;
};
// Rows of every path through the kernels, as far as X can hold them: ordinary ones, those measured again, scaled, constant
// and not finite, and with gammas so large that some y of fp16 are infinite.
template <class X, class P, class T = float, class Dy = float>
Stored<X, P, Dy> every_path_of(Index rows, Index hidden, std::uint64_t seed) {
  const bool half = std::is_same_v<X, Float16>;
  const std::vector<RowKind> kinds = {{Family::normal, 0, 0},
                                      {Family::normal, half ? 1e3 : 1e6, half ? -3 : 2},
                                      {Family::outlier_first, 10, half ? -3 : 0},
                                      {Family::constant, 0, 0},
                                      {Family::uniform, 0, half ? -14 : 100},
                                      {Family::uniform, 3, half ? 13 : -100},
                                      {Family::ramp, 1e3, -2},
                                      {Family::plus_minus_c, 0, 1},
                                      {Family::log_uniform, 0, 0},
                                      {Family::outliers, half ? 10 : 1e3, half ? -4 : 3},
                                      {Family::normal, 0, 0}};
  Problem<T> p = make_problem<T>(rows, hidden, kinds, Parameters::both, T(0x1p-17), seed);
  for (Index r = 10; r < rows; r += 11)
    p.x[size(r * hidden + hidden / 3)] = std::numeric_limits<T>::infinity();
  p.gamma[size(hidden / 2)] = T(40000);
  p.beta[size(hidden / 5)] = T(-6e4);
  return {numbers<X>(p.x), numbers<Dy>(p.dy), numbers<P>(p.gamma), numbers<P>(p.beta)};
}

// --- calls ---

// One of the norms, with a casting. RMSNorm takes no beta.
template <class Casting = simdnorm::RoundOnce, class X, class Gamma, class Beta, class Y, class Moments,
          class Executor = simdnorm::Serial>
void forward_of(Norm norm, RowShape shape, const X& x, Gamma gamma, Beta beta, double epsilon, const Y& y,
                Moments moments, const Executor& executor = {}) {
  if (norm == Norm::layer) {
    using T = simdnorm::operands_t<X, Gamma, Beta, Y>;
    simdnorm::layer_norm_forward<Casting>(shape, x, gamma, beta, static_cast<T>(epsilon), y, moments,
                                          executor);
  } else {
    using T = simdnorm::operands_t<X, Gamma, Y>;
    simdnorm::rms_norm_forward<Casting>(shape, x, gamma, static_cast<T>(epsilon), y, moments, executor);
  }
}
template <Norm norm, class Casting = simdnorm::RoundOnce, class Dy, class X, class Gamma, class Moments,
          class Dx, class G, class Executor = simdnorm::Serial>
void backward_of(RowShape shape, const Dy& dy, const X& x, Gamma gamma, const Moments* moments, const Dx& dx,
                 G* dgamma, G* dbeta, bool accumulate = false, const Executor& executor = {}) {
  const simdnorm::GradientOptions options{accumulate, nullptr};
  if constexpr (norm == Norm::layer) {
    simdnorm::layer_norm_backward<Casting>(shape, dy, x, gamma, moments, dx, dgamma, dbeta, options,
                                           executor);
  } else {
    simdnorm::rms_norm_backward<Casting>(shape, dy, x, gamma, moments, dx, dgamma, options, executor);
  }
}

template <class T> std::vector<RowMoments<T>> no_moments(Index rows) {
  return unwritten_array<RowMoments<T>>(rows);
}

// --- the law: the norm of any types is the norm of the converted operands, rounded ---

// Both norms, of rows that lie so.
template <class X, class P, class Y>
void expect_forward_rounds_once(const Places& places, const Stored<X, P>& in) {
  using T = simdnorm::compute_t<X, P, Y>;
  const RowShape shape = places.shape;
  const std::vector<X> x = places.spread(in.x);
  const std::vector<T> x_computed = places.spread(numbers<T>(in.x)), gamma = numbers<T>(in.gamma),
                       beta = numbers<T>(in.beta);
  for (Norm norm : oracle::norms) {
    SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", gamma " + name_of<P>() + ", y " +
                 name_of<Y>() + ", " + describe(places));
    std::vector<T> y_computed = unwritten_array<T>(places.extent());
    std::vector<RowMoments<T>> expected_moments = no_moments<T>(shape.rows), moments = expected_moments;
    forward(norm, shape, places.read(x_computed), gamma.data(), norm == Norm::layer ? beta.data() : nullptr,
            T(0x1p-17), places.write(y_computed), expected_moments.data());
    const std::vector<Y> expected = places.spread(numbers<Y>(places.gather(y_computed)));
    std::vector<Y> y = unwritten_array<Y>(places.extent());
    forward_of(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17, places.write(y),
               moments.data());
    ASSERT_EQ(first_unlike(y, expected), -1) << "y";
    ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";
  }
}

// One norm, forward's moments given; G: dgamma and dbeta.
template <Norm norm, class Dy, class X, class P, class Dx, class G>
void expect_backward_rounds_once(const Places& places, const Stored<X, P, Dy>& in) {
  using T = simdnorm::compute_t<Dy, X, P, Dx>;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " dy " + name_of<Dy>() + ", x " + name_of<X>() + ", gamma " +
               name_of<P>() + ", dx " + name_of<Dx>() + ", dgamma " + name_of<G>() + ", " + describe(places));
  const RowShape shape = places.shape;
  const std::vector<X> x = places.spread(in.x);
  const std::vector<Dy> dy = places.spread(in.dy);
  const std::vector<T> x_computed = places.spread(numbers<T>(in.x)),
                       dy_computed = places.spread(numbers<T>(in.dy)), gamma = numbers<T>(in.gamma);
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  std::vector<T> out = unwritten_array<T>(places.extent()),
                 dgamma_computed = unwritten_array<T>(shape.hidden), dbeta_computed = dgamma_computed;
  forward(norm, shape, places.read(x_computed), gamma.data(), nullptr, T(0x1p-17), places.write(out),
          moments.data());
  backward(norm, shape, places.read(dy_computed), places.read(x_computed), gamma.data(), moments.data(),
           places.write(out), dgamma_computed.data(), norm == Norm::layer ? dbeta_computed.data() : nullptr);
  const std::vector<Dx> expected = places.spread(numbers<Dx>(places.gather(out)));
  std::vector<Dx> dx = unwritten_array<Dx>(places.extent());
  std::vector<G> dgamma = unwritten_array<G>(shape.hidden), dbeta = dgamma;
  const std::vector<G> none = dgamma;
  backward_of<norm>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(), places.write(dx),
                    dgamma.data(), dbeta.data());
  ASSERT_EQ(first_unlike(dx, expected), -1) << "dx";
  if constexpr (norm == Norm::rms) {
    ASSERT_EQ(first_unlike(dbeta, none), -1);
  }
  // Of T or of fewer digits, dgamma and dbeta are those of T, rounded; of more, they round to those of T.
  const auto expect_gradient = [](const std::vector<G>& got, const std::vector<T>& computed) {
    using Fewer = std::conditional_t<std::is_same_v<G, double>, T, G>;
    ASSERT_EQ(first_unlike(numbers<Fewer>(got), numbers<Fewer>(computed)), -1) << "dgamma or dbeta";
  };
  expect_gradient(dgamma, dgamma_computed);
  if constexpr (norm == Norm::layer) expect_gradient(dbeta, dbeta_computed);
}

}  // namespace support
