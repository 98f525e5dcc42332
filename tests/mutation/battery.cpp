// One hash over the bits that one operator gives for a small battery: what mutate.py compares first. Smaller than
// the golden battery (golden_test.cpp), to be run unoptimized for each of a thousand mutants, but with each
// combination of arguments.
//   battery (layer|rms) (float|double) [forward]
#include <cstdio>
#include <cstring>

#include "support/accuracy.hpp"
#include "support/hash.hpp"

namespace {

using namespace support;

// rows, hidden, rows that lie side by side. Block sizes, chains of a fold, segments of the parameter gradients.
constexpr Index cases[][3] = {{23, 1, 1},  {17, 7, 1},   {9, 17, 1},    {9, 63, 1},
                              {90, 65, 1}, {300, 5, 1},  {7, 1100, 1},  {5, 4099, 1},
                              {6, 9, 3},   {66, 70, 66}, {140, 11, 70}, {5, 600, 5}};

template <class T> void add(Hash& hash, const std::vector<RowMoments<T>>& moments) {
  for (const RowMoments<T>& m : moments)
    for (T value : {m.mean, m.mean_low, m.rstd, m.scale}) hash.add(value);
}

template <class T> Problem<T> battery_problem(const RowShape& shape, int n) {
  const T epsilons[] = {T(1e-5), T(0), T(1e-12), T(0.25)};
  const Parameters parameters[] = {Parameters::both, Parameters::none, Parameters::gamma, Parameters::beta};
  std::vector<RowKind> kinds = all_kinds<T>(n % 9);
  const int top = std::numeric_limits<T>::max_exponent;
  kinds.insert(kinds.begin() + 2, {Family::normal, 3, top - 8});
  kinds.insert(kinds.begin() + 5, {Family::uniform, 0, 2 - top});
  kinds.insert(kinds.begin() + 6, {Family::outliers_sampled, 0, 0});
  return make_problem<T>(shape.rows, shape.hidden, kinds, parameters[n % 4], epsilons[n / 2 % 4],
                         static_cast<std::uint64_t>(n));
}

template <class T> std::uint64_t hash_of_outputs(Norm norm, bool backward_too) {
  Hash hash;
  int n = 0;
  for (const auto& c : cases) {
    const RowShape shape{c[0], c[1], c[2]};
    Problem<T> p = battery_problem<T>(shape, n++);
    const bool layer = norm == Norm::layer;
    const T* beta = layer ? or_null(p.beta) : nullptr;
    // First with a row that is not finite, which makes all of dgamma NaN, then without.
    for (bool finite : {false, true}) {
      p.x[size(4 * p.hidden % (p.rows * p.hidden))] = finite ? T(1) : std::numeric_limits<T>::infinity();
      std::vector<T> y(p.x.size(), nan_of<T>);
      std::vector<RowMoments<T>> moments(size(p.rows));
      forward(norm, shape, packed(shape, p.x.data()), or_null(p.gamma), beta, p.epsilon,
              packed(shape, y.data()), moments.data());
      hash.add(y);
      add(hash, moments);
      if (!backward_too) continue;
      // The gradients of parameters: all, each alone, none; then added to what is there.
      for (int wanted : {3, 2, 1, 0, 7}) {
        std::vector<T> dx(p.x.size(), nan_of<T>), dgamma(size(p.hidden), T(0.5)), dbeta = dgamma;
        Options options;
        options.accumulate = wanted > 3;
        backward(norm, shape, packed(shape, p.dy.data()), packed(shape, p.x.data()), or_null(p.gamma),
                 moments.data(), packed(shape, dx.data()), (wanted & 1) != 0 ? dgamma.data() : nullptr,
                 layer && (wanted & 2) != 0 ? dbeta.data() : nullptr, options);
        hash.add(dx);
        hash.add(dgamma);
        hash.add(dbeta);
        if (!finite || p.hidden > 1000) break;
      }
    }
  }
  return hash.value();
}

}  // namespace

int main(int count, char** arguments) {
  const Norm norm = std::strcmp(arguments[1], "layer") == 0 ? Norm::layer : Norm::rms;
  const bool is_float = std::strcmp(arguments[2], "float") == 0, backward_too = count == 3;
  const std::uint64_t hash =
      is_float ? hash_of_outputs<float>(norm, backward_too) : hash_of_outputs<double>(norm, backward_too);
  std::printf("%016llx\n", static_cast<unsigned long long>(hash));
}
