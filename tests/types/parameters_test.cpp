// gamma and beta of types of their own, and absent: beside each other, and beside x and y of other types.
#include "support/types.hpp"

namespace {

using namespace support;

struct None {};  // no gamma, or no beta

template <class P> auto pointer(const std::vector<P>& values) { return values.data(); }
inline std::nullptr_t pointer(const std::vector<None>&) { return nullptr; }

// LayerNorm of x in bf16 with gamma of G and beta of B.
template <class G, class B, class Y> void check_parameters() {
  using T = simdnorm::compute_t<G, B, Y>;
  const Places places = contiguous(13, 75);
  const RowShape shape = places.shape;
  const auto in = every_path_of<BFloat16, double>(shape.rows, shape.hidden, 3);
  std::vector<G> gamma(in.gamma.size());
  std::vector<B> beta(in.beta.size());
  if constexpr (!std::is_same_v<G, None>) gamma = numbers<G>(in.gamma);
  if constexpr (!std::is_same_v<B, None>) beta = numbers<B>(in.beta);
  std::vector<T> gamma_computed(gamma.size(), T(1)), beta_computed(beta.size(), T(0)),
      y_computed(in.x.size());
  if constexpr (!std::is_same_v<G, None>) gamma_computed = numbers<T>(gamma);
  if constexpr (!std::is_same_v<B, None>) beta_computed = numbers<T>(beta);
  const std::vector<T> x_computed = numbers<T>(in.x);
  // An absent beta adds nothing, where one of zeros would turn -0 into 0.
  forward(Norm::layer, shape, places.read(x_computed),
          std::is_same_v<G, None> ? nullptr : gamma_computed.data(),
          std::is_same_v<B, None> ? nullptr : beta_computed.data(), T(0x1p-17), places.write(y_computed));
  std::vector<Y> y = unwritten_array<Y>(places.extent());
  RowMoments<T>* const no_moments = nullptr;
  simdnorm::layer_norm_forward(shape, in.x.data(), pointer(gamma), pointer(beta), 0x1p-17, y.data(),
                               no_moments);
  EXPECT_EQ(first_unlike(y, numbers<Y>(y_computed)), -1)
      << "gamma " << name_of<G>() << ", beta " << name_of<B>() << ", y " << name_of<Y>();
}

TEST(Parameters, OfTwoTypes) {
  check_parameters<float, BFloat16, BFloat16>();
  check_parameters<BFloat16, float, Float16>();
  check_parameters<Float16, BFloat16, BFloat16>();
  check_parameters<BFloat16, Float16, float>();
  check_parameters<float, Float16, BFloat16>();
  check_parameters<Float16, float, BFloat16>();
}
TEST(Parameters, OneOfDoubleMakesTheCallDouble) {
  check_parameters<double, BFloat16, BFloat16>();
  check_parameters<Float16, double, float>();
}
TEST(Parameters, Absent) {
  check_parameters<None, None, BFloat16>();
  check_parameters<BFloat16, None, BFloat16>();
  check_parameters<None, BFloat16, Float16>();
  check_parameters<None, double, BFloat16>();
}

// The norm of no learned arrays and no moments says all types by x and y alone.
TEST(Parameters, NullPointersOfAType) {
  const auto in = every_path_of<Float16, Float16>(7, 40, 4);
  std::vector<Float16> literal = unwritten_array<Float16>(7 * 40), typed = literal;
  simdnorm::layer_norm_forward({7, 40}, in.x.data(), nullptr, nullptr, 0x1p-17, literal.data());
  const Float16* const none = nullptr;
  simdnorm::layer_norm_forward({7, 40}, in.x.data(), none, none, 0x1p-17, typed.data());
  EXPECT_EQ(first_unlike(literal, typed), -1);
}

// What a NaN, an infinity or a subnormal number makes of one column changes no other: where two vectors are rounded together too.
TEST(Parameters, OfRareNumbersReachTheirColumnsAlone) {
  const Places places = contiguous(3, 107);
  const RowShape shape = places.shape;
  const auto in = every_path_of<BFloat16, float>(shape.rows, shape.hidden, 5);
  for (float rare : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                     0x1p-130F, -0x1p-149F}) {
    for (Index place = 0; place < shape.hidden; ++place) {
      std::vector<float> gamma = in.gamma;
      gamma[size(place)] = rare;
      std::vector<float> y_float(in.x.size());
      std::vector<BFloat16> y = unwritten_array<BFloat16>(places.extent());
      simdnorm::rms_norm_forward(shape, in.x.data(), gamma.data(), 0x1p-17F, y_float.data());
      simdnorm::rms_norm_forward(shape, in.x.data(), gamma.data(), 0x1p-17F, y.data());
      ASSERT_EQ(first_unlike(y, numbers<BFloat16>(y_float)), -1) << rare << " at " << place;
    }
  }
}
TEST(Parameters, SubnormalGradientsAreRoundedAsOthers) {
  const Places places = contiguous(3, 107);
  const RowShape shape = places.shape;
  const auto in = every_path_of<BFloat16, float>(shape.rows, shape.hidden, 6);
  for (int exponent : {-120, -126, -135}) {
    std::vector<float> dy(in.x.size()), dx_float(in.x.size());
    for (std::size_t i = 0; i < dy.size(); ++i)
      dy[i] = std::ldexp(static_cast<float>(i % 13) - 6, exponent + static_cast<int>(i % 5));
    std::vector<BFloat16> dx = unwritten_array<BFloat16>(places.extent());
    std::vector<RowMoments<float>> moments(size(shape.rows));
    std::vector<float> y(in.x.size());
    simdnorm::layer_norm_forward(shape, in.x.data(), in.gamma.data(), in.beta.data(), 0x1p-17F, y.data(),
                                 moments.data());
    const auto backward_to = [&](auto* to) {
      simdnorm::layer_norm_backward(shape, dy.data(), in.x.data(), in.gamma.data(), moments.data(), to,
                                    static_cast<float*>(nullptr), static_cast<float*>(nullptr));
    };
    backward_to(dx_float.data());
    backward_to(dx.data());
    ASSERT_EQ(first_unlike(dx, numbers<BFloat16>(dx_float)), -1) << exponent;
  }
}

// Infinities of both signs in one column, in rows that are added in float and in rows that are added in double.
TEST(Parameters, GradientsInDoubleHaveTheCanonicalNaN) {
  constexpr Index rows = 9, hidden = 37;
  for (Index other : {1, 2, 7}) {
    std::vector<float> x(size(rows * hidden)), dy(x.size(), 1.0F), dx(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i % 31);
    dy[3] = std::numeric_limits<float>::infinity();
    dy[size(other * hidden + 3)] = -dy[3];
    std::vector<RowMoments<float>> moments(size(rows));
    simdnorm::layer_norm_forward({rows, hidden}, x.data(), nullptr, nullptr, 1e-5F, dx.data(),
                                 moments.data());
    std::vector<double> dgamma(size(hidden)), dbeta = dgamma;
    simdnorm::layer_norm_backward({rows, hidden}, dy.data(), x.data(), nullptr, moments.data(), dx.data(),
                                  dgamma.data(), dbeta.data());
    EXPECT_EQ(bits_of(dbeta[3]), bits_of(nan_of<double>)) << other;
    EXPECT_EQ(dbeta[2], 9.0);
  }
}

}  // namespace
