// Gemma's y = xhat * (1 + gamma): the bits of a gamma that is one more, and within the bounds of the formula.
#include "support/bounds.hpp"
#include "support/types.hpp"

namespace {

using namespace support;
using simdnorm::OnePlusGamma;

const Places layouts[] = {contiguous(23, 1), contiguous(23, 77),      in_wider_rows(9, 130),
                          spaced(12, 33),    side_by_side(2, 11, 67), side_by_side(1, 35, 16)};

// y = xhat * (1 + gamma): the bits of gamma' = 1 + gamma, rounded in the type that the call computes in, and of dx and
// dgamma, too; gamma' is within its own bounds of the formula (and of 1 + gamma, where that is a number).
template <Norm norm, class X, class P, class Y> void check_one_plus_gamma() {
  using T = simdnorm::compute_t<X, P, Y>;
  for (const Places& places : layouts) {
    const RowShape shape = places.shape;
    Stored<X, P, X> in = every_path_of<X, P, T, X>(shape.rows, shape.hidden, 5);
    std::vector<T> one_plus;
    for (const P& gamma : in.gamma) one_plus.push_back(static_cast<T>(1 + static_cast<T>(value_of(gamma))));
    const std::vector<T> x_computed = places.spread(numbers<T>(in.x)),
                         dy_computed = places.spread(numbers<T>(in.dy));
    const std::vector<T> beta = numbers<T>(in.beta);
    const std::vector<X> x = places.spread(in.x), dy = places.spread(in.dy);
    std::vector<T> y_computed = unwritten_array<T>(places.extent()), dx_computed = y_computed;
    std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows), expected_moments = moments;
    SCOPED_TRACE(std::string(oracle::name(norm)) + " of " + name_of<X>() + ", " + describe(places));
    forward(norm, shape, places.read(x_computed), one_plus.data(),
            norm == Norm::layer ? beta.data() : nullptr, T(0x1p-17), places.write(y_computed),
            expected_moments.data());
    std::vector<Y> y = unwritten_array<Y>(places.extent()), dx = y;
    forward_of<OnePlusGamma>(norm, shape, places.read(x), in.gamma.data(), in.beta.data(), 0x1p-17,
                             places.write(y), moments.data());
    ASSERT_EQ(first_unlike(y, places.spread(numbers<Y>(places.gather(y_computed)))), -1) << "y";
    ASSERT_EQ(first_difference(moments, expected_moments), -1);

    std::vector<T> dgamma(size(shape.hidden)), dbeta(size(shape.hidden)), dgamma_computed = dgamma,
                                                                          dbeta_computed = dbeta;
    backward(norm, shape, places.read(dy_computed), places.read(x_computed), one_plus.data(), moments.data(),
             places.write(dx_computed), dgamma_computed.data(),
             norm == Norm::layer ? dbeta_computed.data() : nullptr);
    backward_of<norm, OnePlusGamma>(shape, places.read(dy), places.read(x), in.gamma.data(), moments.data(),
                                    places.write(dx), dgamma.data(), dbeta.data());
    ASSERT_EQ(first_unlike(dx, places.spread(numbers<Y>(places.gather(dx_computed)))), -1) << "dx";
    ASSERT_EQ(first_unlike(dgamma, dgamma_computed), -1) << "dgamma";
    if (norm == Norm::layer) {
      ASSERT_EQ(first_unlike(dbeta, dbeta_computed), -1) << "dbeta";
    }
  }
}
TEST(OnePlusGamma, HasTheBitsOfAGammaThatIsOneMore) {
  check_one_plus_gamma<Norm::rms, BFloat16, BFloat16, BFloat16>();
  check_one_plus_gamma<Norm::layer, BFloat16, float, float>();
  check_one_plus_gamma<Norm::rms, Float16, double, Float16>();
  check_one_plus_gamma<Norm::layer, float, Float16, BFloat16>();
}

TEST(OnePlusGamma, IsWithinTheBoundsOfTheFormula) {
  const Index rows = 33, hidden = 96;
  for (Norm norm : oracle::norms) {
    Problem<float> p = make_problem<float>(rows, hidden, {{Family::normal, 2, 0}, {Family::outliers, 10, 1}},
                                           Parameters::both, 0x1p-17F, 6);
    const std::vector<BFloat16> narrow_x = numbers<BFloat16>(p.x), narrow_gamma = numbers<BFloat16>(p.gamma);
    p.x = numbers<float>(narrow_x);
    std::vector<float> one_plus = numbers<float>(narrow_gamma), y(p.x.size()), dx(p.x.size()),
                       dgamma(size(hidden)), dbeta(size(hidden));
    for (float& gamma : one_plus) gamma += 1;
    std::vector<RowMoments<float>> moments(size(rows));
    forward_of<OnePlusGamma>(norm, p.shape(), narrow_x.data(), narrow_gamma.data(), p.beta.data(), 0x1p-17,
                             y.data(), moments.data());
    if (norm == Norm::layer) {
      backward_of<Norm::layer, OnePlusGamma>(p.shape(), p.dy.data(), narrow_x.data(), narrow_gamma.data(),
                                             moments.data(), dx.data(), dgamma.data(), dbeta.data());
    } else {
      backward_of<Norm::rms, OnePlusGamma>(p.shape(), p.dy.data(), narrow_x.data(), narrow_gamma.data(),
                                           moments.data(), dx.data(), dgamma.data(), dbeta.data());
    }
    const float* beta = norm == Norm::layer ? p.beta.data() : nullptr;
    for (Index r = 0; r < rows; ++r) {
      EXPECT_LE(forward_error(norm, p.row(r), one_plus.data(), beta, p.epsilon, hidden, y.data() + r * hidden)
                    .ratio,
                1);
      EXPECT_LE(
          dx_error(norm, p.dy_row(r), p.row(r), one_plus.data(), p.epsilon, hidden, dx.data() + r * hidden)
              .ratio,
          1);
    }
    const auto exact = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, rows, hidden);
    EXPECT_LE(parameter_error(Gradient::dgamma, exact, dgamma.data()).ratio, 1);
  }
}

TEST(OnePlusGamma, WithoutGammaItIsZero) {
  const auto in = every_path_of<BFloat16, float>(9, 70, 7);
  std::vector<BFloat16> with(in.x.size()), without(in.x.size());
  simdnorm::layer_norm_forward({9, 70}, in.x.data(), nullptr, in.beta.data(), 0x1p-17, without.data());
  simdnorm::layer_norm_forward<OnePlusGamma>({9, 70}, in.x.data(), nullptr, in.beta.data(), 0x1p-17,
                                             with.data());
  EXPECT_EQ(first_unlike(with, without), -1);
}

}  // namespace
