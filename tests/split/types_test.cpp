// Norms in parts whose operands hold any types: the bits of the same parts in the type that they compute in, rounded once.
#include "split/parts.hpp"

namespace {

using namespace split;

// Parts of X, P and Y beside parts of T.
template <Norm norm, class X, class P, class Y, class Dy, class Dx>
void expect_parts_round_once(const Places& at, Index parts) {
  using T = simdnorm::compute_t<X, P, Y, Dy, Dx>;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", gamma " + name_of<P>() + ", y " +
               name_of<Y>() + ", " + describe(at));
  const RowShape shape = at.shape;
  const std::vector<Index> columns = divided(shape.hidden, parts);
  const Stored<X, P, Dy> in = every_path_of<X, P, T, Dy>(shape.rows, shape.hidden, 7);
  const std::vector<X> x = at.spread(in.x);
  const std::vector<Dy> dy = at.spread(in.dy);
  const std::vector<T> x_computed = at.spread(numbers<T>(in.x)), dy_computed = at.spread(numbers<T>(in.dy)),
                       gamma = numbers<T>(in.gamma), beta = numbers<T>(in.beta);
  const T epsilon = T(0x1p-17);

  std::vector<T> computed = unwritten_array<T>(at.extent());
  const auto expected_moments = forward_in_parts<norm>(shape, columns, at.read(x_computed), gamma.data(),
                                                       beta.data(), epsilon, at.write(computed));
  std::vector<Y> y = unwritten_array<Y>(at.extent());
  const auto moments = forward_in_parts<norm>(shape, columns, at.read(x), in.gamma.data(), in.beta.data(),
                                              epsilon, at.write(y));
  ASSERT_EQ(first_unlike(y, at.spread(numbers<Y>(at.gather(computed)))), -1) << "y";
  ASSERT_EQ(first_difference(moments, expected_moments), -1) << "moments";

  std::vector<float> dgamma = unwritten_array<float>(shape.hidden), dbeta = dgamma;
  std::vector<float> dgamma_computed = dgamma, dbeta_computed = dgamma;
  backward_in_parts<norm>(shape, columns, at.read(dy_computed), at.read(x_computed), gamma.data(),
                          moments.data(), at.write(computed), dgamma_computed.data(), dbeta_computed.data());
  std::vector<Dx> dx = unwritten_array<Dx>(at.extent());
  backward_in_parts<norm>(shape, columns, at.read(dy), at.read(x), in.gamma.data(), moments.data(),
                          at.write(dx), dgamma.data(), dbeta.data());
  ASSERT_EQ(first_unlike(dx, at.spread(numbers<Dx>(at.gather(computed)))), -1) << "dx";
  ASSERT_EQ(first_unlike(dgamma, dgamma_computed), -1) << "dgamma";
  ASSERT_EQ(first_unlike(dbeta, dbeta_computed), -1) << "dbeta";
}

TEST(PartsOfAnyTypes, RoundOnce) {
  for (const Places& at : {contiguous(23, 70), spaced(12, 33), side_by_side(2, 11, 21)}) {
    expect_parts_round_once<Norm::layer, BFloat16, float, BFloat16, BFloat16, BFloat16>(at, 3);
    expect_parts_round_once<Norm::rms, Float16, BFloat16, float, float, Float16>(at, 3);
    expect_parts_round_once<Norm::layer, float, double, Float16, BFloat16, float>(at, 2);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
