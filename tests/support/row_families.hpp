// Named families of rows, each a shape of values that has broken some kernel, times a mean and a spread.
// Every value is made of raw generator bits by operations that are exact or rounded once, and never a*b + c:
// the same floats come out of every compiler, standard library and -O level, which the golden hash needs.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

namespace support {

using Index = std::int64_t;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t bits() { return engine_(); }
  // In [0, bound).
  Index below(Index bound) { return static_cast<Index>(bits() % static_cast<std::uint64_t>(bound)); }
  bool coin() { return (bits() >> 40 & 1) != 0; }
  // Uniform in [-1, 1), a multiple of 2^-52.
  double uniform() {
    return std::ldexp(static_cast<double>(static_cast<Index>(bits() >> 11) - (Index(1) << 52)), -52);
  }
  // Normal to within its tails (a sum of twelve uniform integers, so at most 6 in magnitude), mean 0,
  // deviation 1.
  double normal() {
    Index sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<Index>(bits() >> 15);
    return std::ldexp(static_cast<double>(sum - 6 * (Index(1) << 49)), -49);
  }
  // Magnitude log-uniform in [2^low, 2^high), either sign.
  double log_uniform(int low, int high) {
    const double mantissa = std::ldexp(static_cast<double>((bits() >> 12) | (std::uint64_t(1) << 52)), -52);
    const double value = std::ldexp(mantissa, low + static_cast<int>(below(high - low)));
    return coin() ? -value : value;
  }

 private:
  std::mt19937_64 engine_;
};

enum class Family {
  normal,
  uniform,
  ramp,
  plus_minus_c,
  outlier_first,
  outlier_middle,
  outliers,  // one column in 64, anywhere
  log_uniform,
  constant,
  outliers_first_16,  // aimed at kernels that guess the mean from a sample: the first columns,
  outliers_sampled    // or four groups of 16 columns from the first to the last
};
constexpr Family families[] = {Family::normal,         Family::uniform,  Family::ramp,
                               Family::plus_minus_c,   Family::outliers, Family::outlier_first,
                               Family::outlier_middle, Family::constant, Family::log_uniform};
inline const char* name(Family family) {
  switch (family) {
    case Family::normal:
      return "normal";
    case Family::uniform:
      return "uniform";
    case Family::ramp:
      return "ramp";
    case Family::plus_minus_c:
      return "plus_minus_c";
    case Family::outlier_first:
      return "outlier_first";
    case Family::outlier_middle:
      return "outlier_middle";
    case Family::outliers:
      return "outliers";
    case Family::log_uniform:
      return "log_uniform";
    case Family::constant:
      return "constant";
    case Family::outliers_first_16:
      return "outliers_first_16";
    case Family::outliers_sampled:
      return "outliers_sampled";
  }
  return "?";
}

struct RowKind {
  Family family = Family::normal;
  double kappa = 0;  // |mean| / standard deviation, nominal
  int log2_std = 0;  // the standard deviation, nominal
};
inline std::string describe(const RowKind& kind) {
  return std::string(name(kind.family)) + " kappa " + std::to_string(kind.kappa) + " std 2^" +
         std::to_string(kind.log2_std);
}

constexpr double outlier = 4096;

// The standard deviation of a family's values before kappa and log2_std, to the next power of two.
inline double family_deviation(Family family, Index hidden) {
  int log2_hidden = 0;
  while (hidden >> (log2_hidden + 1)) ++log2_hidden;
  switch (family) {
    case Family::outlier_first:
    case Family::outlier_middle:
      return std::ldexp(1.0, 12 - log2_hidden / 2);
    case Family::outliers:
      return std::ldexp(1.0, 12 - (log2_hidden < 6 ? log2_hidden : 6) / 2);
    case Family::log_uniform:
      return 128;
    default:
      return 1;
  }
}

// 64 columns that represent a row: 16 at its beginning, 16 at its end and two groups evenly between.
inline bool is_sampled(Index c, Index hidden) {
  const Index spacing = hidden < 64 ? 16 : (hidden - 16) / 3 / 16 * 16;
  return c % spacing < 16 && c / spacing < 4;
}

template <class T>
void fill_row(const RowKind& kind, Random& random, T* row, Index hidden, Index stride = 1) {
  int log2_hidden = 0;
  while (hidden >> (log2_hidden + 1)) ++log2_hidden;
  // kappa times a power of two is exact, so that shift + value has one rounding, fused or not.
  const double shift = kind.kappa * family_deviation(kind.family, hidden);
  const double level = random.normal();  // of a constant row
  const Index lone = kind.family == Family::outliers ? random.below(hidden) : -1;
  for (Index c = 0; c < hidden; ++c) {
    double value = 0;
    switch (kind.family) {
      case Family::normal:
        value = random.normal();
        break;
      case Family::uniform:
        value = random.uniform();
        break;
      case Family::ramp:
        value = std::ldexp(static_cast<double>(2 * c - (hidden - 1)), -log2_hidden);
        break;
      case Family::plus_minus_c:
        value = random.coin() ? 1.1 : -1.1;
        break;
      case Family::outlier_first:
        value = c == 0 ? outlier : random.normal();
        break;
      case Family::outlier_middle:
        value = c == hidden / 2 ? -outlier : random.normal();
        break;
      case Family::outliers:
        value = c == lone || random.below(64) == 0 ? std::ldexp(random.uniform(), 12) : random.normal();
        break;
      case Family::log_uniform:
        value = random.log_uniform(-12, 10);
        break;
      case Family::constant:
        value = level;
        break;
      case Family::outliers_first_16:
        value = random.normal() + (c < 16 ? outlier : 0);
        break;
      case Family::outliers_sampled:
        value = random.normal() + (is_sampled(c, hidden) ? outlier : 0);
        break;
    }
    row[c * stride] = static_cast<T>(std::ldexp(shift + value, kind.log2_std));
  }
}

// gamma: either sign, magnitude in [1/2, 2), never one number for all.
template <class T> void fill_gamma(Random& random, T* gamma, Index hidden) {
  for (Index c = 0; c < hidden; ++c) gamma[c] = static_cast<T>(random.log_uniform(-1, 1));
}

template <class T> void fill_normal(Random& random, T* values, Index count) {
  for (Index i = 0; i < count; ++i) values[i] = static_cast<T>(random.normal());
}

// The bits of a float or double: what "the same" means in these tests.
inline std::uint64_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline std::uint64_t bits_of(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

}  // namespace support
