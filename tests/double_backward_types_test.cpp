// Double backward of operands of any types is that of the converted ones, rounded.
#include <simdnorm/double_backward.hpp>

#include "support/types.hpp"

namespace {

using namespace support;

template <Norm norm, class Ddx, class W, class B, class Dy, class X, class P, class T, class Ddy, class Dx,
          class G>
void call(RowShape shape, const Ddx& ddx, W ddgamma, B ddbeta, const Dy& dy, const X& x, P gamma,
          const RowMoments<T>* moments, const Ddy& ddy, const Dx& dx, G dgamma) {
  if constexpr (norm == Norm::layer) {
    simdnorm::layer_norm_double_backward(shape, ddx, ddgamma, ddbeta, dy, x, gamma, moments, ddy, dx, dgamma);
  } else {
    static_cast<void>(ddbeta);
    simdnorm::rms_norm_double_backward(shape, ddx, ddgamma, dy, x, gamma, moments, ddy, dx, dgamma);
  }
}

template <Norm norm, class V, class W, class Dy, class X, class P, class Ddy, class Dx>
void check_types(const Places& places) {
  using T = simdnorm::compute_t<V, W, Dy, X, P, Ddy, Dx>;
  const RowShape shape = places.shape;
  SCOPED_TRACE(std::string(oracle::name(norm)) + ", ddx " + name_of<V>() + ", x " + name_of<X>() + ", " +
               describe(places));
  const Stored<X, P, Dy> in = every_path_of<X, P, T, Dy>(shape.rows, shape.hidden, 3);
  const Stored<X, W, V> other = every_path_of<X, W, T, V>(shape.rows, shape.hidden, 4);
  const std::vector<T> x_of_t = places.spread(numbers<T>(in.x)), dy_of_t = places.spread(numbers<T>(in.dy)),
                       ddx_of_t = places.spread(numbers<T>(other.dy)), gamma = numbers<T>(in.gamma),
                       w = numbers<T>(other.gamma), b = numbers<T>(other.beta);
  std::vector<T> ddy_of_t = unwritten_array<T>(places.extent()), dx_of_t = ddy_of_t,
                 dgamma_of_t = unwritten_array<T>(shape.hidden);
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  forward(norm, shape, places.read(x_of_t), gamma.data(), nullptr, T(0x1p-17), places.write(ddy_of_t),
          moments.data());
  ddy_of_t = dx_of_t;
  call<norm>(shape, places.read(ddx_of_t), w.data(), b.data(), places.read(dy_of_t), places.read(x_of_t),
             gamma.data(), moments.data(), places.write(ddy_of_t), places.write(dx_of_t), dgamma_of_t.data());

  const std::vector<X> x = places.spread(in.x);
  const std::vector<Dy> dy = places.spread(in.dy);
  const std::vector<V> ddx = places.spread(other.dy);
  std::vector<Ddy> ddy = unwritten_array<Ddy>(places.extent());
  std::vector<Dx> dx = unwritten_array<Dx>(places.extent());
  std::vector<double> dgamma(size(shape.hidden));
  call<norm>(shape, places.read(ddx), other.gamma.data(), other.beta.data(), places.read(dy), places.read(x),
             in.gamma.data(), moments.data(), places.write(ddy), places.write(dx), dgamma.data());
  EXPECT_EQ(first_unlike(ddy, places.spread(numbers<Ddy>(places.gather(ddy_of_t)))), -1);
  EXPECT_EQ(first_unlike(dx, places.spread(numbers<Dx>(places.gather(dx_of_t)))), -1);
  EXPECT_EQ(first_unlike(numbers<T>(dgamma), dgamma_of_t), -1);
}
template <Norm norm, class V, class W, class Dy, class X, class P, class Ddy, class Dx> void check_types() {
  for (Index hidden : {1, 7, 33, 100}) {
    check_types<norm, V, W, Dy, X, P, Ddy, Dx>(contiguous(23, hidden));
    check_types<norm, V, W, Dy, X, P, Ddy, Dx>(side_by_side(2, 11, hidden));
  }
}
TEST(DoubleBackwardOfTypes, Bfloat16) {
  check_types<Norm::layer, BFloat16, float, BFloat16, BFloat16, BFloat16, BFloat16, float>();
}
TEST(DoubleBackwardOfTypes, Float16) {
  check_types<Norm::rms, float, Float16, Float16, Float16, float, float, Float16>();
}
TEST(DoubleBackwardOfTypes, DoubleAmongFloats) {
  check_types<Norm::rms, float, double, BFloat16, float, Float16, double, float>();
}

}  // namespace
