// One hash over the bits of a fixed battery: y, moments, dx, dgamma and dbeta of both norms, float and
// double, contiguous and strided. The same constants must come out of every instruction set, compiler, -O
// level and number of threads. A change of the kernels that changes bits on purpose changes the constants,
// and says so in CHANGELOG.md.
#include <simdnorm/storage.hpp>

#include <gtest/gtest.h>

#include "support/accuracy.hpp"
#include "support/hash.hpp"

namespace {

using namespace support;
using simdnorm::Index;

constexpr std::uint64_t golden_inputs = 0x814d3e35d1b13844;
constexpr std::uint64_t golden_float = 0xc209d03daa75703a;
constexpr std::uint64_t golden_double = 0x41e60a7def8bb561;

template <class T> Problem<T> battery_problem(Index rows, Index hidden, int n) {
  const T epsilons[] = {T(1e-5), T(0), T(1e-12)};
  const Parameters parameters[] = {Parameters::both, Parameters::none, Parameters::gamma, Parameters::beta};
  std::vector<RowKind> kinds = all_kinds<T>(n % 9);
  // Rows of extreme magnitude, which go the scaled way.
  kinds.insert(kinds.begin() + 5, {Family::normal, 3, sizeof(T) == 4 ? 120 : 1010});
  kinds.insert(kinds.begin() + 9, {Family::uniform, 0, sizeof(T) == 4 ? -130 : -1030});
  Problem<T> p =
      make_problem<T>(rows, hidden, kinds, parameters[n % 4], epsilons[n % 3], static_cast<std::uint64_t>(n));
  // NaN and Inf, whose rows are canonical NaN.
  const T inf = std::numeric_limits<T>::infinity();
  if (rows > 20) {
    p.x[size(17 * hidden + hidden / 2)] = nan_of<T>;
    p.x[size(18 * hidden)] = -inf;
    p.dy[size(19 * hidden + hidden / 3)] = inf;
    p.dy[size(20 * hidden + hidden / 2)] = -nan_of<T>;
  }
  return p;
}

template <class T> void add(Hash& hash, const std::vector<RowMoments<T>>& moments) {
  for (const RowMoments<T>& m : moments) {
    hash.add(m.mean);
    hash.add(m.mean_low);
    hash.add(m.rstd);
    hash.add(m.scale);
  }
}

// Each case: rows, hidden, rows that lie side by side.
constexpr Index cases[][3] = {
    {23, 1, 1},   {23, 2, 1},    {24, 3, 1},   {25, 7, 1},     {23, 8, 1},    {29, 15, 1},   {27, 16, 1},
    {26, 17, 1},  {24, 31, 1},   {23, 33, 1},  {23, 63, 1},    {73, 64, 1},   {73, 65, 1},   {25, 100, 1},
    {75, 128, 1}, {24, 255, 1},  {23, 513, 1}, {75, 768, 1},   {74, 1000, 1}, {23, 1023, 1}, {9, 4097, 1},
    {300, 40, 1}, {2000, 9, 1},  {1, 768, 1},  {24, 5, 24},    {46, 16, 23},  {66, 64, 33},  {75, 65, 75},
    {40, 130, 8}, {70, 700, 35}, {12, 20, 2},  {1200, 12, 300}};

template <class T>
std::uint64_t hash_of_outputs(const Executor& executor, std::vector<std::uint64_t>* of_case = nullptr) {
  Hash all;
  int n = 0;
  for (const auto& c : cases) {
    const RowShape shape{c[0], c[1], c[2]};
    const Problem<T> p = battery_problem<T>(shape.rows, shape.hidden, n++);
    Hash hash;
    for (Norm norm : oracle::norms) {
      const bool layer = norm == Norm::layer;
      const T nan = nan_of<T>;
      std::vector<T> y(p.x.size(), nan), dx(p.x.size(), nan), dgamma(size(p.hidden), nan),
          dbeta(size(p.hidden), nan);
      std::vector<RowMoments<T>> moments(size(p.rows), {nan, nan, nan, nan});
      forward(norm, shape, packed(shape, p.x.data()), or_null(p.gamma), layer ? or_null(p.beta) : nullptr,
              p.epsilon, packed(shape, y.data()), moments.data(), executor);
      hash.add(y);
      add(hash, moments);
      backward(norm, shape, packed(shape, p.dy.data()), packed(shape, p.x.data()), or_null(p.gamma),
               moments.data(), packed(shape, dx.data()), dgamma.data(), layer ? dbeta.data() : nullptr, {},
               executor);
      hash.add(dx);
      // A NaN or Inf in x makes all of dgamma NaN: hashed again without those rows.
      hash.add(dbeta);
      Problem<T> finite = p;
      for (T& value : finite.x) {
        if (!std::isfinite(value)) value = T(1);
      }
      forward(norm, shape, packed(shape, finite.x.data()), or_null(p.gamma),
              layer ? or_null(p.beta) : nullptr, p.epsilon, packed(shape, y.data()), moments.data(),
              executor);
      backward(norm, shape, packed(shape, p.dy.data()), packed(shape, finite.x.data()), or_null(p.gamma),
               moments.data(), packed(shape, dx.data()), dgamma.data(), layer ? dbeta.data() : nullptr, {},
               executor);
      hash.add(dgamma);
    }
    all.add(hash.value());
    if (of_case) of_case->push_back(hash.value());
  }
  return all.value();
}

template <class T> void check(std::uint64_t golden) {
  std::vector<std::uint64_t> of_case;
  const std::uint64_t got = hash_of_outputs<T>(serial, &of_case);
  std::string list;
  for (std::size_t i = 0; i < of_case.size(); ++i) {
    char words[96];
    std::snprintf(words, sizeof words, "  rows %d hidden %d after %d: %016llx\n",
                  static_cast<int>(cases[i][0]), static_cast<int>(cases[i][1]), static_cast<int>(cases[i][2]),
                  static_cast<unsigned long long>(of_case[i]));
    list += words;
  }
  EXPECT_EQ(got, golden) << std::hex << "got 0x" << got << ", by case:\n" << list;
  for (int threads : {3, 16}) {
    EXPECT_EQ(hash_of_outputs<T>(Threads{threads}), got) << threads << " threads";
  }
}

// First the numbers that go in: where this fails, the test's own generator is at fault, not the library.
TEST(Golden, Inputs) {
  Hash hash;
  int n = 0;
  for (const auto& c : cases) {
    const Problem<float> p = battery_problem<float>(c[0], c[1], n);
    const Problem<double> q = battery_problem<double>(c[0], c[1], n++);
    for (const auto* values : {&p.x, &p.dy, &p.gamma, &p.beta}) hash.add(*values);
    for (const auto* values : {&q.x, &q.dy, &q.gamma, &q.beta}) hash.add(*values);
  }
  EXPECT_EQ(hash.value(), golden_inputs) << std::hex << "got 0x" << hash.value();
}

TEST(Golden, Float) { check<float>(golden_float); }
TEST(Golden, Double) { check<double>(golden_double); }

TEST(Golden, NightlyEveryNumberOfThreads) {
  for (int threads = 1; threads <= 16; ++threads) {
    EXPECT_EQ(hash_of_outputs<float>(Threads{threads}), golden_float) << threads << " threads";
    EXPECT_EQ(hash_of_outputs<double>(Threads{threads}), golden_double) << threads << " threads";
  }
}

}  // namespace
