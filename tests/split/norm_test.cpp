// Norms in parts: with one part the bits of the undivided norm, of any rows; with several the same bounds against the oracle.
#include "split/parts.hpp"
#include "support/hash.hpp"
#include "support/magnitudes.hpp"

namespace {

using namespace split;

template <class T> struct InParts : testing::Test {};
using Elements = testing::Types<float, double>;
TYPED_TEST_SUITE(InParts, Elements);

template <class T, class F> void of_both_norms(const F& f) {
  f(std::integral_constant<Norm, Norm::layer>());
  if (!testing::Test::HasFatalFailure()) f(std::integral_constant<Norm, Norm::rms>());
}

// --- one part ---

template <class T> void expect_bits_of_one_part(const Problem<T>& p, const Places& at) {
  of_both_norms<T>([&](auto norm) {
    SCOPED_TRACE(std::string(oracle::name(norm)) + ", " + describe(at) + ", epsilon " +
                 std::to_string(static_cast<double>(p.epsilon)));
    expect_same_bits(run_in_parts<norm>(p, at, {p.hidden}), run_whole<norm>(p, at));
  });
}

TYPED_TEST(InParts, OnePartHasTheBitsOfTheWhole) {
  using T = TypeParam;
  const T largest = std::numeric_limits<T>::max(), infinite = std::numeric_limits<T>::infinity();
  for (Index hidden : {1, 2, 7, 16, 17, 33, 64, 100, 257, 1100}) {
    for (T epsilon : {T(1e-5), T(0), T(1e-38), T(1e30), largest, infinite}) {
      Problem<T> p = every_path<T>(23, hidden, static_cast<std::uint64_t>(hidden));
      p.epsilon = epsilon;
      for (const Places& at : {contiguous(23, hidden), spaced(23, hidden), side_by_side(1, 23, hidden)}) {
        expect_bits_of_one_part(p, at);
        if (this->HasFatalFailure()) return;
      }
    }
  }
}

TYPED_TEST(InParts, OnePartHasTheBitsOfTheWholeAtAnyMagnitude) {
  using T = TypeParam;
  for (T epsilon : epsilons_of<T>()) {
    const Problem<T> p = MagnitudeRows<T>(33, epsilon, sizeof(T) == 4 ? 1 : 7, 1).p;
    expect_bits_of_one_part(p, contiguous(p.rows, p.hidden));
  }
}

// The largest numbers of both signs, beside others of each magnitude: the mean is small beside the deviation, down to what T
// can hold of it.
TYPED_TEST(InParts, OnePartHasTheBitsOfTheWholeWhereTheMeanIsNearlyNothing) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const Index rows = 40, hidden = 118;
  Problem<T> p = make_problem<T>(rows, hidden, {{Family::uniform, 10, 0}}, Parameters::both, T(0), 9);
  for (Index r = 0; r < rows; ++r) {
    T* const row = p.x.data() + r * hidden;
    const int exponent =
        static_cast<int>(Limits::min_exponent + r * (Limits::max_exponent - Limits::min_exponent) / rows);
    for (Index c = 0; c < hidden; ++c) row[c] = std::ldexp(row[c], exponent);
    row[r] = Limits::max();
    row[r + 40] = -Limits::max();
  }
  for (const Places& at : {contiguous(rows, hidden), side_by_side(1, rows, hidden)}) {
    expect_bits_of_one_part(p, at);
    if (this->HasFatalFailure()) return;
  }
}

// --- several parts ---

constexpr Index numbers_of_parts[] = {2, 3, 4, 7};

// y and the moments under the bounds of the undivided norm; the moments no further from its moments than their last digit.
template <class T> double check_parts(const Problem<T>& p, Index parts) {
  double worst = 0;
  of_both_norms<T>([&](auto norm) {
    const Places at = contiguous(p.rows, p.hidden);
    const std::string what =
        std::to_string(parts) + " parts, epsilon " + std::to_string(static_cast<double>(p.epsilon));
    std::vector<T> y = unwritten_array<T>(at.extent());
    const auto moments =
        forward_in_parts<norm>(at.shape, divided(p.hidden, parts), at.read(p.x), or_null(p.gamma),
                               norm == Norm::layer ? or_null(p.beta) : nullptr, p.epsilon, at.write(y));
    worst = std::max(worst, check_forward_rows(norm, p, y, what));
    check_moments(norm, p, moments, what);
    const auto whole = run_forward(norm, p).moments;
    for (std::size_t r = 0; r < moments.size(); ++r) {
      ASSERT_EQ(moments[r].scale, whole[r].scale) << what << ", row " << r;
      ASSERT_LE(std::abs(moments[r].rstd - whole[r].rstd), std::numeric_limits<T>::epsilon() * whole[r].rstd)
          << what << r;
    }
  });
  return worst;
}

TYPED_TEST(InParts, RowsOfAllFamiliesKeepTheirDigits) {
  using T = TypeParam;
  double worst = 0;
  const T epsilons[] = {T(1e-5), T(0), T(1e-12), T(0.25)};
  const Parameters parameters[] = {Parameters::both, Parameters::none, Parameters::gamma, Parameters::beta};
  int n = 0;
  for (Index hidden : {2, 3, 5, 7, 16, 33, 64, 100, 257, 768}) {
    const auto seed = static_cast<std::uint64_t>(hidden);
    const Problem<T> p =
        make_problem<T>(73, hidden, all_kinds<T>(n % 9), parameters[n % 4], epsilons[(n + n / 4) % 4], seed);
    worst = std::max(worst, check_parts(p, numbers_of_parts[n++ % 4]));
    if (this->HasFatalFailure()) return;
  }
  this->RecordProperty("units", std::to_string(worst * forward_units));
}

// A mean thousands of times as far from 0 as from the means of the parts, which lie far from one another.
TYPED_TEST(InParts, PartsThatHaveNothingInCommonKeepTheirDigits) {
  using T = TypeParam;
  const Index hidden = 100, rows = 24;
  for (Index parts : numbers_of_parts) {
    Problem<T> p = make_problem<T>(rows, hidden, {{Family::normal, 0, 0}}, Parameters::both, T(0), 5);
    each_part(p.shape(), divided(hidden, parts), [&](Index part, RowShape of_part, Index first) {
      for (Index r = 0; r < rows; ++r) {
        for (Index c = first; c < first + of_part.hidden; ++c) {
          T& x = p.x[size(r * hidden + c)];
          const double deviation = r % 3 == 0 ? 0 : std::ldexp(1.0, static_cast<int>(part * r % 17) - 8);
          const double mean = std::ldexp(static_cast<double>(r % 4 * 1000 + part * part), r % 2 ? 0 : -5);
          x = static_cast<T>(mean + deviation * static_cast<double>(x));
        }
      }
    });
    check_parts(p, parts);
    if (this->HasFatalFailure()) return;
  }
}

// --- extremes ---

TYPED_TEST(InParts, AnyMagnitudeOfAnyPart) {
  using T = TypeParam;
  for (T epsilon : epsilons_of<T>()) {
    Problem<T> p = MagnitudeRows<T>(24, epsilon, sizeof(T) == 4 ? 5 : 37, 2).p;
    for (Index parts : {2, 3}) {
      check_parts(p, parts);
      if (this->HasFatalFailure()) return;
    }
    // The parts' magnitudes lie anywhere: those of two rows are mixed.
    for (Index r = 0; r < p.rows / 2; ++r) {
      for (Index c = 0; c < 8; ++c) std::swap(p.x[size(r * 24 + c)], p.x[size((p.rows - 1 - r) * 24 + c)]);
    }
    check_parts(p, 3);                    // 4, 8 and 12 columns
    check_parts(p, 2);                    // 8 and 16
    for (Index r = 0; r < p.rows; ++r) {  // parts without a deviation
      for (Index c = 0; c < 24; ++c)
        p.x[size(r * 24 + c)] = p.x[size(r * 24 + (c < 4 ? 0 : c < 12 ? 5 : 15))];
    }
    check_parts(p, 3);
    if (this->HasFatalFailure()) return;
  }
}

TYPED_TEST(InParts, ConstantRowsGiveBeta) {
  using T = TypeParam;
  const Index hidden = 21;
  for (T value : {T(0), T(-0.0), T(3.3), T(-1e6), std::numeric_limits<T>::denorm_min(),
                  std::numeric_limits<T>::max()}) {
    for (T epsilon : {T(0), T(1e-38), T(1e-5), T(1e30)}) {
      Problem<T> p = make_problem<T>(3, hidden, {{Family::normal, 0, 0}}, Parameters::both, epsilon, 3);
      std::fill(p.x.begin(), p.x.end(), value);
      for (Index parts : {1, 2, 4, 21}) {
        const Places at = contiguous(3, hidden);
        std::vector<T> y = unwritten_array<T>(at.extent());
        forward_in_parts<Norm::layer>(at.shape, divided(hidden, parts), at.read(p.x), p.gamma.data(),
                                      p.beta.data(), epsilon, at.write(y));
        for (Index i = 0; i < 3 * hidden; ++i)
          ASSERT_EQ(y[size(i)], p.beta[size(i % hidden)]) << value << ", " << epsilon << ", parts " << parts;
        if (value != 0) continue;
        const auto moments =
            forward_in_parts<Norm::rms>(at.shape, divided(hidden, parts), at.read(p.x), p.gamma.data(),
                                        static_cast<T*>(nullptr), epsilon, at.write(y));
        for (Index i = 0; i < 3 * hidden; ++i) ASSERT_EQ(y[size(i)], 0) << epsilon << ", parts " << parts;
        ASSERT_EQ(first_difference(moments, run_forward(Norm::rms, p).moments), -1);
      }
    }
  }
}

// One NaN or infinity in one part makes that row NaN in all parts, forward and backward, and no other.
TYPED_TEST(InParts, NaNStaysInItsRow) {
  using T = TypeParam;
  const Index rows = 19, hidden = 40;
  const Places at = contiguous(rows, hidden);
  of_both_norms<T>([&](auto norm) {
    const Problem<T> good =
        make_problem<T>(rows, hidden, {{Family::normal, 1, 0}}, Parameters::both, T(1e-5), 4);
    const std::vector<Index> columns = divided(hidden, 4);
    const Outputs<T> expected = run_in_parts<norm>(good, at, columns);
    for (const T number : {nan_of<T>, std::numeric_limits<T>::infinity()}) {
      for (const bool in_dy : {false, true}) {
        Problem<T> p = good;
        (in_dy ? p.dy : p.x)[size(5 * hidden + 33)] = number;
        const Outputs<T> out = run_in_parts<norm>(p, at, columns);
        for (Index i = 0; i < rows * hidden; ++i) {
          const bool here = i / hidden == 5;
          const T y = here && !in_dy ? nan_of<T> : expected.y[size(i)],
                  dx = here ? nan_of<T> : expected.dx[size(i)];
          ASSERT_EQ(bits_of(out.y[size(i)]), bits_of(y)) << i;
          ASSERT_EQ(bits_of(out.dx[size(i)]), bits_of(dx)) << i;
        }
      }
    }
  });
}

// --- backward ---

TYPED_TEST(InParts, GradientsAgainstTheOracle) {
  using T = TypeParam;
  const std::vector<RowKind> kinds = {{Family::normal, 0, 0},         {Family::uniform, 10, 2},
                                      {Family::ramp, -1e3, -3},       {Family::plus_minus_c, 1e4, 0},
                                      {Family::outlier_first, 10, 1}, {Family::normal, 1e6, -1},
                                      {Family::log_uniform, 0, 0},    {Family::normal, -1e7, 4},
                                      {Family::outlier_middle, 0, 0}, {Family::outliers, 1e2, -4}};
  double worst_dx = 0, worst_gamma = 0, worst_beta = 0;
  int n = 0;
  for (Index hidden : {1, 2, 3, 7, 17, 64, 100, 257, 768}) {
    const Problem<T> p = make_problem<T>(67, hidden, kinds, n % 3 ? Parameters::both : Parameters::none,
                                         n % 2 ? T(1e-5) : T(1e-6), static_cast<std::uint64_t>(hidden));
    const std::vector<Index> columns = divided(hidden, numbers_of_parts[n++ % 4]);
    of_both_norms<T>([&](auto norm) {
      const Outputs<T> out = run_in_parts<norm>(p, contiguous(p.rows, hidden), columns);
      for (Index r = 0; r < p.rows; ++r) {
        const Worst row = dx_error(norm, p.dy_row(r), p.row(r), or_null(p.gamma), p.epsilon, hidden,
                                   out.dx.data() + r * hidden);
        ASSERT_LE(row.ratio, 1) << "dx, row " << r << ", hidden " << hidden << ", column " << row.column;
        worst_dx = std::max(worst_dx, row.ratio);
      }
      const auto exact =
          oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, p.rows, hidden);
      const double gamma = parameter_error(Gradient::dgamma, exact, out.dgamma.data()).ratio;
      ASSERT_LE(gamma, 1) << "dgamma, hidden " << hidden;
      worst_gamma = std::max(worst_gamma, gamma);
      if constexpr (norm == Norm::rms) return;
      const double beta = parameter_error(Gradient::dbeta, exact, out.dbeta.data()).ratio;
      ASSERT_LE(beta, 1) << "dbeta, hidden " << hidden;
      worst_beta = std::max(worst_beta, beta);
    });
    if (this->HasFatalFailure()) return;
  }
  this->RecordProperty("dx", std::to_string(worst_dx));
  this->RecordProperty("dgamma", std::to_string(worst_gamma));
  this->RecordProperty("dbeta", std::to_string(worst_beta));
}

// Rows that are scaled, and gradients that only the whole row keeps small.
TYPED_TEST(InParts, GradientsOfRowsOfAnyMagnitude) {
  using T = TypeParam;
  const Problem<T> p = MagnitudeRows<T>(48, T(0), sizeof(T) == 4 ? 7 : 53, 3).p;
  of_both_norms<T>([&](auto norm) {
    const Places at = contiguous(p.rows, p.hidden);
    const Outputs<T> whole = run_whole<norm>(p, at);
    for (Index parts : numbers_of_parts) {
      const Outputs<T> out = run_in_parts<norm>(p, at, divided(p.hidden, parts));
      for (Index r = 0; r < p.rows; ++r) {
        double error = 0, norm_of_row = 0, largest = 0;
        for (Index c = 0; c < p.hidden; ++c)
          largest = std::max(largest, std::abs(static_cast<double>(whole.dx[size(r * p.hidden + c)])));
        for (Index c = 0; c < p.hidden; ++c) {
          const double exact = static_cast<double>(whole.dx[size(r * p.hidden + c)]);
          if (!std::isfinite(exact)) {
            ASSERT_EQ(bits_of(whole.dx[size(r * p.hidden + c)]), bits_of(out.dx[size(r * p.hidden + c)]));
            continue;
          }
          const double apart = (static_cast<double>(out.dx[size(r * p.hidden + c)]) - exact) / largest;
          error += apart * apart, norm_of_row += exact / largest * (exact / largest);
        }
        if (!(largest < std::numeric_limits<double>::infinity()) ||
            largest < 1e4 * static_cast<double>(std::numeric_limits<T>::min()))
          continue;
        ASSERT_LE(std::sqrt(error), 2 * dx_bound<T> * std::sqrt(norm_of_row))
            << "row " << r << ", parts " << parts;
      }
    }
  });
}

// Rows that lie otherwise, and tasks in another order, give the same bits.
TYPED_TEST(InParts, BitsDependOnTheDivisionAlone) {
  using T = TypeParam;
  const Index rows = 33, hidden = 75;
  const Problem<T> p = every_path<T>(rows, hidden, 6);
  of_both_norms<T>([&](auto norm) {
    const std::vector<Index> columns = divided(hidden, 3);
    const Outputs<T> expected = run_in_parts<norm>(p, contiguous(rows, hidden), columns);
    for (const Places& at : {contiguous(rows, hidden), in_wider_rows(rows, hidden), spaced(rows, hidden),
                             side_by_side(3, 11, hidden), side_by_side(1, 33, hidden)}) {
      SCOPED_TRACE(describe(at));
      const Outputs<T> out = run_in_parts<norm>(p, at, columns, Executor(Backwards{}));
      ASSERT_EQ(first_difference(out.moments, expected.moments), -1);
      ASSERT_EQ(first_difference(at.gather(out.y), expected.y), -1);
      ASSERT_EQ(first_difference(at.gather(out.dx), expected.dx), -1);
    }
  });
}

// ... and on nothing else: these are the bits of every compiler and instruction set.
TEST(BitsInParts, AreThoseOfEveryBuild) {
  Hash hash;
  const auto add = [&](auto number) {
    using T = decltype(number);
    for (Index hidden : {5, 33, 300}) {
      const Problem<T> p = every_path<T>(35, hidden, 8);
      of_both_norms<T>([&](auto norm) {
        const Outputs<T> out = run_in_parts<norm>(p, contiguous(35, hidden), divided(hidden, 3));
        for (const auto* numbers : {&out.y, &out.dx, &out.dgamma, &out.dbeta}) hash.add(*numbers);
        for (const RowMoments<T>& row : out.moments)
          hash.add(std::vector<T>{row.mean, row.mean_low, row.rstd, row.scale});
      });
    }
  };
  add(float());
  add(double());
  EXPECT_EQ(hash.value(), 0x34c00c4a35a7cfe0u);
}

}  // namespace
