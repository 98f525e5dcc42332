// Gates beside their definition, element by element: y, x and the gradients with them have the bits of the composition.
#pragma once

#include "fusion/residual.hpp"
#include "support/executors.hpp"

namespace fusion {

using simdnorm::gate_gradients;
using simdnorm::gated;

// silu and its derivative of one number, which simd_silu_test compares with the formula.
template <class T> T gate_of(T z) {
  return simdnorm::simd::silu(simdnorm::simd::Vector<T, simdnorm::simd::NoSimd>{z}).value;
}
template <class T> T slope_of(T z) {
  return simdnorm::simd::silu_derivative(simdnorm::simd::Vector<T, simdnorm::simd::NoSimd>{z}).value;
}

// Rows of every path, gates of magnitudes from the smallest to infinity.
template <class X, class Z, class P> struct GateProblem {
  Stored<X, P> in;
  std::vector<Z> z;
  GateProblem(Index rows, Index hidden, std::uint64_t seed)
      : in(every_path_of<X, P>(rows, hidden, seed)), z(every_path_of<Z, P>(rows, hidden, seed + 1).x) {
    for (std::size_t i = 0; i < z.size(); i += 5) z[i] = number<Z>(value_of(in.dy[i]) * 8);
    if (z.size() > 7) z[7] = number<Z>(-std::numeric_limits<double>::infinity());
  }
};

// The gates of some rows, and their slopes, in T.
template <class T> struct Gates {
  std::vector<T> gate, slope;
  explicit Gates(const std::vector<T>& z) {
    for (T value : z) {
      gate.push_back(gate_of(value));
      slope.push_back(slope_of(value));
    }
  }
};
template <class T> std::vector<T> products(std::vector<T> a, const std::vector<T>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = canonical(times(a[i], b[i]));
  return a;
}

// One norm, by executors of one type: each call of an operator takes long to compile.
template <Norm norm, class X, class P, class Y, class Moments>
void gated_forward(RowShape shape, const X& x, const P* gamma, const P* beta, const Y& y, Moments* moments,
                   const Executor& executor = serial) {
  if constexpr (norm == Norm::layer) {
    simdnorm::layer_norm_forward(shape, x, gamma, beta, 0x1p-17F, y, moments, executor);
  } else {
    simdnorm::rms_norm_forward(shape, x, gamma, 0x1p-17F, y, moments, executor);
  }
}
template <Norm norm, class Dy, class X, class P, class T, class Dx>
void gated_backward(RowShape shape, const Dy& dy, const X& x, const P* gamma, const RowMoments<T>* moments,
                    const Dx& dx, T* dgamma = nullptr, T* dbeta = nullptr,
                    const Executor& executor = serial) {
  if constexpr (norm == Norm::layer) {
    simdnorm::layer_norm_backward(shape, dy, x, gamma, moments, dx, dgamma, dbeta, {}, executor);
  } else {
    simdnorm::rms_norm_backward(shape, dy, x, gamma, moments, dx, dgamma, {}, executor);
  }
}

// The norm of contiguous rows of T, and its gradients.
template <class T> struct PlainNorm {
  Norm norm;
  RowShape shape;
  std::vector<T> gamma, beta, y, dx, dgamma, dbeta;
  std::vector<RowMoments<T>> moments;

  template <class P>
  PlainNorm(Norm of, RowShape of_call, const std::vector<T>& x, const std::vector<P>& of_gamma,
            const std::vector<P>& of_beta)
      : norm(of),
        shape{of_call.rows, of_call.hidden},
        gamma(numbers<T>(of_gamma)),
        beta(numbers<T>(of_beta)),
        y(x.size()),
        dx(x.size()),
        dgamma(gamma.size()),
        dbeta(norm == Norm::layer ? gamma.size() : 0),
        moments(no_moments<T>(shape.rows)) {
    support::forward(norm, shape, packed(shape, x.data()), gamma.data(),
                     norm == Norm::layer ? beta.data() : nullptr, T(0x1p-17), packed(shape, y.data()),
                     moments.data());
  }
  void backward(const std::vector<T>& dy, const std::vector<T>& x) {
    support::backward(norm, shape, packed(shape, dy.data()), packed(shape, x.data()), gamma.data(),
                      moments.data(), packed(shape, dx.data()), dgamma.data(),
                      norm == Norm::layer ? dbeta.data() : nullptr);
  }
};

// y = norm(x) * silu(z), and back. x, z, y lie as places say; dx is of X, dz of Z.
template <Norm norm, class X, class Z, class P, class Y>
void check_after(const PlacesOfAll& places, const GateProblem<X, Z, P>& p) {
  using T = simdnorm::compute_t<X, Z, P, Y>;
  const RowShape shape = places.x.shape;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " after, " + name_of<X>() + " " + name_of<Z>() + ", " +
               describe(places.x));
  const std::vector<P>& gamma = p.in.gamma;
  const std::vector<T> x_rows = numbers<T>(p.in.x);
  PlainNorm<T> plain(norm, shape, x_rows, gamma, p.in.beta);
  const Gates<T> gates(numbers<T>(p.z));
  const std::vector<X> x = places.x.spread(p.in.x);
  const std::vector<Z> z = places.residual.spread(p.z);
  std::vector<Y> y = unwritten_array<Y>(places.y.extent());
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  gated_forward<norm>(shape, places.x.read(x), gamma.data(), p.in.beta.data(),
                      gated(places.y.write(y), places.residual.read(z)), moments.data(), Threads{3});
  ASSERT_EQ(first_unlike(y, places.y.spread(numbers<Y>(products(plain.y, gates.gate)))), -1) << "y";
  ASSERT_EQ(first_difference(moments, plain.moments), -1) << "moments";

  const std::vector<T> dy = numbers<T>(numbers<Y>(p.in.dy));
  const std::vector<T> dz_rows = products(products(dy, gates.slope), plain.y);
  plain.backward(products(dy, gates.gate), x_rows);
  std::vector<T> dgamma(plain.gamma.size()), dbeta(plain.dbeta.size());
  const std::vector<Y> dy_stored = places.y.spread(numbers<Y>(p.in.dy));
  std::vector<X> dx = unwritten_array<X>(places.x.extent());
  std::vector<Z> dz = unwritten_array<Z>(places.sum.extent());
  const auto gated_dy = [&] {
    const auto without = gated(places.y.read(dy_stored), places.residual.read(z));
    if constexpr (norm == Norm::layer) {
      return without.gradient(places.sum.write(dz), p.in.beta.data());
    } else {
      return without.gradient(places.sum.write(dz));
    }
  };
  gated_backward<norm>(shape, gated_dy(), places.x.read(x), gamma.data(), moments.data(), places.x.write(dx),
                       dgamma.data(), dbeta.data(), Threads{2});
  ASSERT_EQ(first_unlike(dx, places.x.spread(numbers<X>(plain.dx))), -1) << "dx";
  ASSERT_EQ(first_unlike(dz, places.sum.spread(numbers<Z>(dz_rows))), -1) << "dz";
  if (places.contiguous()) {  // of others the order of the rows' sums is another
    ASSERT_EQ(first_unlike(dgamma, plain.dgamma), -1) << "dgamma";
    ASSERT_EQ(first_unlike(dbeta, plain.dbeta), -1) << "dbeta";
  }
}

// y = norm(u), u = x * silu(z), and back.
template <Norm norm, class X, class Z, class P, class Y, bool All = true>
void check_before(const PlacesOfAll& places, const GateProblem<X, Z, P>& p) {
  using T = simdnorm::compute_t<X, Z, P, Y>;
  const RowShape shape = places.x.shape;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " before, " + name_of<X>() + " " + name_of<Z>() + ", " +
               describe(places.x));
  const std::vector<P>& gamma = p.in.gamma;
  const Gates<T> gates(numbers<T>(p.z));
  const std::vector<T> x_rows = numbers<T>(p.in.x), u_rows = products(x_rows, gates.gate);
  const std::vector<X> x = places.x.spread(p.in.x);
  const std::vector<Z> z = places.residual.spread(p.z);
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  const auto forward = [&](const auto& gated_x, const std::vector<T>& u) {
    const PlainNorm<T> plain(norm, shape, u, gamma, p.in.beta);
    std::vector<Y> y = unwritten_array<Y>(places.y.extent());
    gated_forward<norm>(shape, gated_x, gamma.data(), p.in.beta.data(), places.y.write(y), moments.data(),
                        Threads{3});
    ASSERT_EQ(first_unlike(y, places.y.spread(numbers<Y>(plain.y))), -1) << "y";
    ASSERT_EQ(first_difference(moments, plain.moments), -1) << "moments";
  };
  forward(gated(places.x.read(x), places.residual.read(z)), u_rows);
  if constexpr (All) {
    std::vector<X> u = unwritten_array<X>(places.sum.extent());
    const std::vector<X> u_stored = numbers<X>(u_rows);
    forward(gated(places.x.read(x), places.residual.read(z), places.sum.write(u)), numbers<T>(u_stored));
    ASSERT_EQ(first_unlike(u, places.sum.spread(u_stored)), -1) << "u";

    const std::vector<T> dy = numbers<T>(numbers<Y>(p.in.dy));
    PlainNorm<T> plain(norm, shape, u_rows, gamma, p.in.beta);
    plain.backward(dy, u_rows);
    const std::vector<Y> dy_stored = places.y.spread(numbers<Y>(p.in.dy));
    std::vector<X> dx = unwritten_array<X>(places.x.extent());
    std::vector<Z> dz = unwritten_array<Z>(places.sum.extent());
    const auto of_x = places.x.read(x);
    const auto of_z = places.residual.read(z);
    gated_backward<norm>(shape, places.y.read(dy_stored), gated(of_x, of_z), gamma.data(), moments.data(),
                         gate_gradients(of_x, of_z, places.x.write(dx), places.sum.write(dz)));
    ASSERT_EQ(first_unlike(dx, places.x.spread(numbers<X>(products(plain.dx, gates.gate)))), -1) << "dx";
    const std::vector<T> dz_rows = products(products(plain.dx, x_rows), gates.slope);
    ASSERT_EQ(first_unlike(dz, places.sum.spread(numbers<Z>(dz_rows))), -1) << "dz";
  }
}

template <Norm norm, class X, class Z, class P, class Y> void check_gates() {
  for (Index hidden : {1, 5, 33, 130, 301}) {
    for (const PlacesOfAll& places : layouts(hidden)) {
      const GateProblem<X, Z, P> p(places.x.shape.rows, hidden, static_cast<std::uint64_t>(hidden));
      check_after<norm, X, Z, P, Y>(places, p);
      check_before<norm, X, Z, P, Y>(places, p);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace fusion
