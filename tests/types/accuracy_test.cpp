// How many y of bf16 and fp16 are the number nearest to the formula, and how many one of the two beside it, by 128-bit floats.
//
// y of float is off by at most 5 units of u * size, size = |gamma| * max(1, |xhat|) + |beta|, u = 2^-24. Rounded to p digits it is
// one of the two numbers beside the exact y unless it is off by half of a last place, which is at least 2^-(p + 2) * |y| below a
// power of two: so only where |y| <= 5 u * 2^(p + 2) * size, by cancellation with beta. For bf16 that is 2^-11.7 * size, for fp16
// 2^-8.7 * size.
#include <cinttypes>

#include "support/types.hpp"

namespace {

using namespace support;

struct Shares {
  Index outputs = 0, nearest = 0, faithful = 0;
  double largest_kappa = 0, largest_unfaithful = 0;  // |mean|/deviation; |y|/size

  Shares& operator+=(const Shares& more) {
    outputs += more.outputs, nearest += more.nearest, faithful += more.faithful;
    largest_kappa = std::max(largest_kappa, more.largest_kappa);
    largest_unfaithful = std::max(largest_unfaithful, more.largest_unfaithful);
    return *this;
  }
};

template <class Y> constexpr int digits = 0;
template <> constexpr int digits<BFloat16> = 8;
template <> constexpr int digits<Float16> = 11;

// beta: as it comes, or nearly minus what the first row would have without it.
enum class Beta { random, cancels };

// One call: rows of all families of a |mean|/deviation; negative: equal numbers but one, which is the next to them.
template <class X, class Y>
Shares measure(Norm norm, double kappa, Index rows, Index hidden, std::uint64_t seed,
               Beta beta_is = Beta::random) {
  using namespace oracle;
  std::vector<RowKind> kinds;
  for (Family family : {Family::normal, Family::uniform, Family::ramp, Family::plus_minus_c, Family::outliers,
                        Family::outlier_middle, Family::log_uniform, Family::normal}) {
    const double size = std::max(1.0, std::abs(kappa)) * family_deviation(family, hidden);
    const int room = std::is_same_v<X, Float16> ? std::min(0, 13 - std::ilogb(size)) : 0;  // up to 65504
    kinds.push_back({family, kinds.size() % 2 == 0 ? kappa : -kappa, room});
  }
  Problem<float> p = make_problem<float>(rows, hidden, kinds, Parameters::both, 1e-5F, seed);
  std::vector<X> x = numbers<X>(p.x);
  if (kappa < 0) {
    for (Index r = 0; r < rows; ++r) {
      const double level = 1 + static_cast<double>(r % 37) / 40;
      for (Index c = 0; c < hidden; ++c) x[size(r * hidden + c)] = number<X>(level);
      x[size(r * hidden + r % hidden)] = number<X>(level * (1 + std::ldexp(1.0, 1 - digits<X>)));
    }
  }
  if (beta_is == Beta::cancels) {  // of y of the first row, all but 2^-8 to 2^-24 of it
    Random random(seed);
    const std::vector<float> values = numbers<float>(x);
    const Statistics s = statistics(norm, values.data(), hidden, p.epsilon);
    for (Index c = 0; c < hidden; ++c)
      p.beta[size(c)] = static_cast<float>(-narrow(xhat(s, values[size(c)]) * wide(p.gamma[size(c)])) *
                                           (1 + random.log_uniform(-24, -8)));
  }
  const float epsilon = kappa < 0 ? 0.0F : p.epsilon;
  std::vector<Y> y(x.size());
  forward_of(norm, p.shape(), x.data(), p.gamma.data(), p.beta.data(), static_cast<double>(epsilon), y.data(),
             static_cast<RowMoments<float>*>(nullptr));
  Shares shares;
  const Format& format = FormatOf<Y>::format;
  const std::vector<float> values = numbers<float>(x);
  for (Index r = 0; r < rows; ++r) {
    const float* row = values.data() + r * hidden;
    const Statistics s = statistics(norm, row, hidden, epsilon),
                     centered = statistics(Norm::layer, row, hidden, 0.0F);
    if (!(centered.variance > wide(0.0))) continue;  // equal numbers, after x was rounded: y is beta
    shares.largest_kappa = std::max(shares.largest_kappa, narrow(oracle::abs(centered.mean) * centered.rstd));
    for (Index c = 0; c < hidden; ++c) {
      const quad h = xhat(s, row[c]), gamma = wide(p.gamma[size(c)]);
      const quad beta = wide(norm == Norm::layer ? p.beta[size(c)] : 0.0F), exact = h * gamma + beta;
      const double odd = rounded_to_odd(exact);
      const std::uint32_t got = y[size(r * hidden + c)].bits, inner = encoded(format, odd, Toward::zero);
      const bool is_exact = decoded(format, inner) == odd;
      const std::uint32_t nearest = encoded(format, odd);
      const bool both_zero = odd == 0 && (got & 0x7fffU) == 0;  // of 0 * gamma, either
      const bool faithful = got == inner || (!is_exact && got == inner + 1) || both_zero;
      ++shares.outputs;
      shares.nearest += got == nearest || both_zero;
      shares.faithful += faithful;
      const quad magnitude = oracle::abs(h) > wide(1.0) ? oracle::abs(h) : wide(1.0);
      const double of_size =
          narrow(oracle::abs(exact) / (oracle::abs(gamma) * magnitude + oracle::abs(beta)));
      if (!faithful) {
        shares.largest_unfaithful = std::max(shares.largest_unfaithful, of_size);
        EXPECT_LE(of_size, std::ldexp(5.0, digits<Y> + 2 - 24))
            << "y " << narrow(exact) << " is not small: code " << got;
      }
    }
  }
  return shares;
}

void print(const char* y, const char* x, Norm norm, double kappa, const Shares& s) {
  std::printf("%s of %s, %s, |mean|/deviation %g (largest %.2g): %" PRId64
              " outputs, nearest %.5f %%, faithful %.5f %%",
              y, x, oracle::name(norm), kappa, s.largest_kappa, s.outputs,
              100.0 * static_cast<double>(s.nearest) / static_cast<double>(s.outputs),
              100.0 * static_cast<double>(s.faithful) / static_cast<double>(s.outputs));
  if (s.faithful < s.outputs)
    std::printf(" (%" PRId64 " not, largest |y|/size %.2g)", s.outputs - s.faithful, s.largest_unfaithful);
  std::printf("\n");
}

// Of x of one type to y of another: rows of every |mean|/deviation that x can hold.
template <class X, class Y> Shares measure_all(Index rows, bool prints) {
  const bool is_float = std::is_same_v<X, float>;
  const std::vector<double> kappas =
      is_float ? std::vector<double>{0, 10, 1e3, 1e5, 1e7} : std::vector<double>{0, 10, 100, -1};
  Shares all;
  for (Norm norm : oracle::norms) {
    for (double kappa : kappas) {
      Shares shares;
      for (Index hidden : {64, 257, 1024}) {
        const Index count = std::max<Index>(2, rows * 64 / hidden);
        shares += measure<X, Y>(norm, kappa, count, hidden, static_cast<std::uint64_t>(hidden));
      }
      if (prints) print(name_of<Y>(), name_of<X>(), norm, kappa, shares);
      all += shares;
    }
  }
  return all;
}

template <class Y> struct Accuracy : testing::Test {
  static Shares where_beta_cancels(std::uint64_t calls) {
    Shares all;
    for (std::uint64_t seed = 1; seed <= calls; ++seed)
      all += measure<float, Y>(Norm::layer, 10, 1, 256, seed, Beta::cancels);
    return all;
  }
  static void check(Index rows, bool prints) {
    Shares all = measure_all<Y, Y>(rows, prints);
    all += measure_all<float, Y>(rows, prints);
    const double allowed = std::is_same_v<Y, BFloat16> ? 1e-4 : 5e-4;
    EXPECT_LE(static_cast<double>(all.outputs - all.nearest), allowed * static_cast<double>(all.outputs))
        << all.outputs - all.nearest << " of " << all.outputs << " are not the nearest number";
    if (prints) print(name_of<Y>(), "both", Norm::layer, 0, all);
    testing::Test::RecordProperty("outputs", std::to_string(all.outputs));
    testing::Test::RecordProperty("not_nearest", std::to_string(all.outputs - all.nearest));
    testing::Test::RecordProperty("not_faithful", std::to_string(all.outputs - all.faithful));
  }
};
using Narrow = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(Accuracy, Narrow);

TYPED_TEST(Accuracy, NearlyAllAreTheNearestNumberAndTheOthersBesideIt) { this->check(32, false); }
// Where beta takes nearly all of y, what is left is not faithful; nowhere else is that so (measure() expects it).
TYPED_TEST(Accuracy, WhereBetaCancelsYItIsWithinTheBoundOfFloat) {
  const Shares all = this->where_beta_cancels(40);
  EXPECT_GT(all.outputs - all.faithful, all.outputs / 100) << "nothing was cancelled";
  this->RecordProperty("not_faithful", std::to_string(all.outputs - all.faithful));
}

TYPED_TEST(Accuracy, NightlyOfAMillion) {
  this->check(512, true);
  print(name_of<TypeParam>(), "float whose beta cancels y", Norm::layer, 10, this->where_beta_cancels(1000));
}

}  // namespace
