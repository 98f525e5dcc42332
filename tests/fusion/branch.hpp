// A branch beside its composition, element by element: sums, results, gradients, and the gradients of bias and layer scale beside
// dbeta of the same rows.
#pragma once

#include "fusion/dropout.hpp"

namespace fusion {

using simdnorm::branch;

// What all rows are multiplied with: (hidden), and (rows).
template <class P> std::vector<P> layer_scale_of(Index hidden) {
  std::vector<P> values;
  for (Index c = 0; c < hidden; ++c) values.push_back(number<P>(0.01 * static_cast<double>(c % 13) - 0.03));
  return values;
}
inline std::vector<float> row_scale_of(Index rows) {
  std::vector<float> values;
  for (Index r = 0; r < rows; ++r) values.push_back(r % 4 == 1 ? 0.0F : 1.25F + static_cast<float>(r));
  return values;
}

// The sums over rows of values, dbias or dlayer_scale, are kept as dbeta is: they are the dbeta of these rows as dy.
template <class T, class G>
std::vector<G> summed(const Places& places, const std::vector<T>& values, const std::vector<T>& x,
                      const std::vector<RowMoments<T>>& moments, std::vector<G> sums, bool accumulate) {
  const std::vector<T> dy = places.spread(values), at = places.spread(x);
  std::vector<T> dx = unwritten_array<T>(places.extent());
  G* const no_gamma = nullptr;
  const std::nullptr_t gamma = nullptr;
  simdnorm::layer_norm_backward(places.shape, places.read(dy), places.read(at), gamma, moments.data(),
                                places.write(dx), no_gamma, sums.data(), {accumulate});
  return sums;
}

template <Norm norm, class X, class R, class P, class Y>
void check_branch(const Places& places, const SumProblem<X, R, P>& p) {
  using T = simdnorm::compute_t<X, R, P, Y>;
  using G = std::conditional_t<std::is_same_v<X, float>, double, float>;
  const RowShape shape = places.shape;
  const Index hidden = shape.hidden;
  SCOPED_TRACE(std::string(oracle::name(norm)) + " x " + name_of<X>() + ", residual " + name_of<R>() +
               ", y " + name_of<Y>() + ", " + describe(places));
  const std::vector<P> layer_scale = layer_scale_of<P>(hidden);
  const std::vector<float> row_scale = row_scale_of(shape.rows);
  const auto column = [&](std::size_t i) { return i % size(hidden); };
  const auto row = [&](std::size_t i) { return i / size(hidden); };
  const auto masked = [&](T value, std::size_t i) {
    return times(value, mask_of<T>(some, static_cast<Index>(row(i)), static_cast<Index>(column(i))));
  };

  // Forward: residual + ((x + bias) * layer_scale * mask) * row_scale.
  std::vector<T> biased = numbers<T>(p.in.x), sum_rows(biased.size());
  for (std::size_t i = 0; i < biased.size(); ++i) {
    biased[i] = plus(biased[i], static_cast<T>(value_of(p.bias[column(i)])));
    const T scaled = masked(times(biased[i], static_cast<T>(value_of(layer_scale[column(i)]))), i);
    const T term = times(scaled, static_cast<T>(row_scale[row(i)]));
    sum_rows[i] = canonical(plus(static_cast<T>(value_of(p.residual[i])), term));
  }
  const Composed<T> composed(norm, shape.rows, hidden, sum_rows, p.in.gamma, p.in.beta);
  const std::vector<X> x = places.spread(p.in.x);
  const std::vector<R> residual = places.spread(p.residual);
  std::vector<T> sum = unwritten_array<T>(places.extent());
  std::vector<Y> y = unwritten_array<Y>(places.extent());
  std::vector<RowMoments<T>> moments = no_moments<T>(shape.rows);
  const auto read = branch(places.read(x)).bias(p.bias.data());
  forward_of(norm, shape,
             residual_sum(read.row_scale(row_scale.data()).layer_scale(layer_scale.data()).dropout(some),
                          places.read(residual), places.write(sum)),
             p.in.gamma.data(), p.in.beta.data(), 0x1p-17, places.write(y), moments.data());
  ASSERT_EQ(first_unlike(sum, places.spread(sum_rows)), -1) << "sum";
  ASSERT_EQ(first_unlike(y, places.spread(numbers<Y>(composed.y))), -1) << "y";
  ASSERT_EQ(first_difference(moments, composed.moments), -1) << "moments";

  // Backward: dx = (gradient * row_scale * mask) * layer_scale.
  const std::vector<Y> dy = places.spread(numbers<Y>(p.in.dy));
  const std::vector<R> dsum = places.spread(p.dsum);
  std::vector<T> gradient(biased.size()), of_layer_scale = gradient;
  std::vector<G> dbias(size(hidden), G(3)), dlayer_scale(size(hidden), G(-2)),
      dgamma = dbias, dbeta = dbias, dgamma_alone = dbias, dbeta_alone = dbias;
  backward_of<norm>({shape.rows, hidden}, numbers<T>(numbers<Y>(p.in.dy)).data(), sum_rows.data(),
                    p.in.gamma.data(), moments.data(), gradient.data(), dgamma_alone.data(),
                    dbeta_alone.data());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const T of_sum = canonical(plus(static_cast<T>(value_of(p.dsum[i])), gradient[i]));
    const T product = masked(times(of_sum, static_cast<T>(row_scale[row(i)])), i);
    of_layer_scale[i] = times(product, biased[i]);
    gradient[i] = canonical(times(product, static_cast<T>(value_of(layer_scale[column(i)]))));
  }
  std::vector<X> dx = unwritten_array<X>(places.extent());
  std::vector<R> dresidual = unwritten_array<R>(places.extent());
  const auto layer_moments = [&] {  // dbeta is LayerNorm's
    std::vector<RowMoments<T>> of_rows = no_moments<T>(shape.rows);
    Composed<T> any(Norm::layer, shape.rows, hidden, sum_rows, p.in.gamma, p.in.beta);
    return any.moments;
  }();
  for (const bool accumulate : {false, true}) {
    const std::vector<G> expected_bias = summed(places, gradient, sum_rows, layer_moments, dbias, accumulate);
    const std::vector<G> expected_scale =
        summed(places, of_layer_scale, sum_rows, layer_moments, dlayer_scale, accumulate);
    simdnorm::GradientOptions options{accumulate};
    std::vector<double> workspace(size(simdnorm::gradient_workspace_bytes<T>(shape, 4)) / sizeof(double) + 1,
                                  7.5);
    options.workspace = workspace.data();
    const auto to_x = branch(places.write(dx))
                          .dbias(dbias.data())
                          .layer_scale(layer_scale.data(), read, dlayer_scale.data())
                          .dropout(some)
                          .row_scale(row_scale.data());
    const auto to_all = residual_gradients(places.read(dsum), to_x, places.write(dresidual));
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_backward(shape, places.read(dy), places.read(sum), p.in.gamma.data(),
                                    moments.data(), to_all, dgamma.data(), dbeta.data(), options, Threads{3});
    } else {
      simdnorm::rms_norm_backward(shape, places.read(dy), places.read(sum), p.in.gamma.data(), moments.data(),
                                  to_all, dgamma.data(), options, Threads{3});
    }
    ASSERT_EQ(workspace.back(), 7.5) << "the workspace is larger than it is said to be";
    ASSERT_EQ(first_unlike(dx, places.spread(numbers<X>(gradient))), -1) << "dx";
    ASSERT_EQ(first_unlike(dbias, expected_bias), -1) << "dbias";
    ASSERT_EQ(first_unlike(dlayer_scale, expected_scale), -1) << "dlayer_scale";
    if (!accumulate && places.shape.after == 1 &&
        places.column == 1) {  // the others add rows in another order
      ASSERT_EQ(first_unlike(dgamma, dgamma_alone), -1) << "dgamma";
      ASSERT_EQ(first_unlike(dbeta, dbeta_alone), -1) << "dbeta";
    }
  }
}
template <Norm norm, class X, class R, class P, class Y> void check_branches() {
  for (Index hidden : {1, 5, 16, 67, 130}) {
    for (const Places& places : {contiguous(23, hidden), in_wider_rows(13, hidden), spaced(12, hidden),
                                 side_by_side(2, 11, hidden), side_by_side(1, 35, hidden)}) {
      check_branch<norm, X, R, P, Y>(
          places, SumProblem<X, R, P>(places.shape.rows, hidden, static_cast<std::uint64_t>(hidden)));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace fusion
