// The other floor of an operation: its arithmetic. simdnorm's innermost loops, which fold a row and map it, as often as there are
// rows; but these all lie in one place, in the first-level cache if they are not long, and nothing is found from their sums, checked
// or chosen. What reads other memory, and calls more than these loops, cannot take less, as long as it is made of them.
#pragma once

#include <memory>
#include <simdnorm/simdnorm.hpp>
#include <tuple>
#include <vector>

#include "peer.hpp"

namespace bench {

/// A number for each row that may be measured as one.
template <class Number> std::vector<Number> of_rows(const Number& number) {
  return std::vector<Number>(simdnorm::BlockAlong<float, simdnorm::simd::DefaultArch>::capacity, number);
}
/// All rows of an array are its first.
template <class T> simdnorm::Strided<T> one_row(T* first) { return {first, 0, 1}; }

/// fold(block), then map(rows, number of the first) for each block that a call in the caches would measure as one.
template <std::size_t ArraysRead, class Fold, class Map>
void each_block(simdnorm::RowShape shape, const Fold& fold, const Map& map) {
  using namespace simdnorm;
  const BlocksAlong<float, simd::DefaultArch, ArraysRead * sizeof(float)> blocks(shape);
  blocks.each_measured(0, blocks.count(), rows_measured<DirectWriter>(blocks), [&](const auto& block) {
    fold(block);
    block.template mapped<DirectWriter::rows_at_once>(map);
  });
}

template <class Statistic> Call forward_loops(const View& v) {
  using namespace simdnorm;
  const RowShape shape{v.rows, v.hidden};
  const auto moments = of_rows(RowMoments<float>{0.25F, 0, 1, 1});
  return call([=, x = LoadedRows<float>{one_row(v.x)}, y = StoredRows<float>{one_row(v.y)},
               epilogue = epilogue_of<Statistic, RoundOnce, float>(v.gamma, v.beta)] {
    const Columns columns{0, shape.hidden};
    each_block<1>(
        shape,
        [&](const auto& block) {
          SumsOf<std::decay_t<decltype(block)>, Statistic::sums> sums;
          sum_about_zero<Statistic>(block, x, columns, moments.data(), sums);
        },
        [&](const auto& rows, int first) {
          normalize<Statistic>(rows, columns, x, moments.data() + first, epilogue, y);
        });
  });
}

template <class Statistic> Call backward_loops(const View& v) {
  using namespace simdnorm;
  const RowShape shape{v.rows, v.hidden};
  const auto moments = of_rows(RowMoments<float>{0.25F, 0, 1, 1});
  const auto means = of_rows(typename Statistic::Means{0.25F, 0.25F});
  const auto bytes = static_cast<std::size_t>(gradient_workspace_bytes<float>(shape));
  const std::shared_ptr<double[]> workspace(new double[bytes / sizeof(double)]);
  return call([=, dy = LoadedRows<float>{one_row(v.dy)}, x = LoadedRows<float>{one_row(v.x)},
               dx = StoredRows<float>{one_row(v.dx)}, scale = Scale<float>(v.gamma)] {
    std::apply(
        [&](const auto&... sums) {
          using Gradient = ParameterGradient<float, simd::DefaultArch, std::decay_t<decltype(sums.term)>...>;
          const Gradient gradient(shape.hidden, workspace.get(), {}, sums.term...);
          auto totals = gradient.begin(0);
          const Columns columns{0, shape.hidden};
          each_block<2>(
              shape,
              [&](const auto& block) {
                SumsOf<std::decay_t<decltype(block)>, Statistic::sums> of_block;
                sum_gradients<Statistic>(block, columns, dy, x, scale, moments.data(), of_block);
              },
              [&](const auto& rows, int first) {
                differentiate<Statistic, Gradient>(rows, columns, dy, x, scale, moments.data() + first,
                                                   means.data() + first, dx, totals);
                totals.mark_begun();
              });
        },
        sums_of_parameters<Statistic, RoundOnce::Xhat<float>>(v.dgamma, v.dbeta));
  });
}

/// The loops of a view's rows of float, forward or backward, as a call.
inline Call loops(const View& v, Norm norm, Pass pass) {
  using simdnorm::MeanSquare;
  using simdnorm::Variance;
  if (pass == Pass::forward)
    return norm == Norm::layer ? forward_loops<Variance<float>>(v) : forward_loops<MeanSquare<float>>(v);
  return norm == Norm::layer ? backward_loops<Variance<float>>(v) : backward_loops<MeanSquare<float>>(v);
}

}  // namespace bench
