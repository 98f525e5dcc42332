// The backward driver: for each block of rows, the two row means, then dx and the sums over rows.
#pragma once

#include "../dispatch/call.hpp"
#include "../operands.hpp"
#include "epilogue.hpp"
#include "gradient_means.hpp"
#include "measure.hpp"
#include "parameter_gradient.hpp"
#include "writer.hpp"

namespace simdnorm {

/// dx for some columns of some rows, and what they add to `totals`.
template <class Statistic, class Gradient, class Rows, class Range, class Dy, class X, class Scale, class Dx,
          class T, class Totals>
SIMDNORM_KERNEL void differentiate(Rows rows, Range columns, const Dy& dy_of_rows, const X& x_of_rows,
                                   const Scale& scale_of_rows, const RowMoments<T>* moments,
                                   const typename Statistic::Means* means, const Dx& dx_of_rows,
                                   const Totals& totals_of_rows) {
  const Dy dy = dy_of_rows;
  const X x = x_of_rows;
  const Scale scale = scale_of_rows;
  const Dx dx = dx_of_rows;
  const Totals totals = totals_of_rows;
  const auto& values = scaled(rows, x, moments);
  auto dx_values = scaled_sink(rows, dx, moments);
  const typename Statistic::template Normalizer<Rows> normalized(rows, moments);
  const typename Statistic::template InputGradient<Rows> input_gradient(rows, moments, means);
  using Sums = typename Gradient::template Column<Rows>;
  rows.visit(
      in_order_of(dx_values, columns),
      [&](auto column) SIMDNORM_BODY {
        return std::pair{scale.at(rows, column), Sums{}};
      },
      [&](auto at, auto& prepared) SIMDNORM_BODY {
        auto& [scaled, sums] = prepared;
        const auto gradient = dy.last(rows, at);
        const auto x_at = values.last(rows, at);
        const auto xhat = normalized(at, x_at);
        sums.add(totals, rows, at, gradient, xhat);
        const auto store_more = more_results(
            dy, rows, at, [&]() SIMDNORM_INLINE_LAMBDA { return normalized.unrounded(at, x_at); });
        const auto stored = dx_values.store(rows, at, input_gradient(at, scaled(gradient), xhat));
        static_assert(
            Gradient::template sums_all<
                Rows, std::decay_t<decltype(at)>,
                std::tuple<std::decay_t<decltype(gradient)>, std::decay_t<decltype(xhat)>>,
                std::tuple<std::decay_t<decltype(stored)>>>,
            "simdnorm: a sum of columns that takes neither dy and xhat nor what the sink of dx returns");
        sums.add(totals, rows, at, stored);
        store_more();
      },
      [&](auto column, const auto& prepared) SIMDNORM_BODY { prepared.second.end(totals, column); });
}

/// dx of these rows can be differentiated at full speed: no row is scaled, and none will be NaN.
template <class T, class Means>
SIMDNORM_INLINE bool all_ordinary(const RowMoments<T>* moments, const Means* means, int count) {
  bool all = all_unscaled(moments, count);
  for (int r = 0; r < count; ++r) all &= means[r].are_numbers();
  return all;
}

/// The same rows, for kernels that multiply each by its scale. Rows that are added up as two stay two; one alone adds the same
/// to sums over rows wherever it lies.
template <class T, class Arch> const RowsAcross<T, Arch>& scalable(const RowsAcross<T, Arch>& rows) {
  return rows;
}
template <class T, class Arch> RowsAcross<T, Arch> scalable(const RowsAlong<T, Arch, 1>& rows) {
  return rows.row(0);
}
template <class T, class Arch, int Rows>
RowsAlong<T, Arch, Rows, true> scalable(const RowsAlong<T, Arch, Rows>& rows) {
  return {rows.first_row};
}

/// dx, and what is added to totals, of rows that are not all ordinary.
template <class Gradient, class Statistic, class Rows, class Dy, class X, class Scale, class Dx, class T,
          class Totals, class Threads>
SIMDNORM_COLD void differentiate_rare(const Statistic& statistic, Rows rows, const Spans<Threads>& spans,
                                      const Dy& dy, const X& x, const Scale& scale,
                                      const RowMoments<T>* moments, const Dx& dx, const Totals& totals) {
  typename Statistic::Means means[Rows::capacity];
  for (int r = 0; r < rows.count(); ++r)
    find_means(statistic, rows.row(r), spans, dy, x, scale, moments + r, means + r);
  differentiate<Statistic, Gradient>(rows, Columns{0, spans.hidden}, dy, x, scale, moments, means,
                                     CanonicalSink<Dx>{dx}, totals);
}

/// Backward over all rows; returns the number of tasks, each of which has its own sums in `gradient`.
template <class Blocks, class Statistic, class Gradient, class Dy, class X, class Scale, class Dx,
          class Writer, class T, class Executor>
Index backward(RowShape shape, const Statistic& statistic, const Dy& dy, const X& x, const Scale& scale,
               const RowMoments<T>* moments, const Dx& dx, const Writer& writer, const Gradient& gradient,
               Executor&& executor) {
  const Index hidden = shape.hidden;
  const Blocks blocks(shape);
  const Index per_task = gradient.blocks_per_task(blocks);
  const TasksOrSpans threads(executor, hidden, task_count(blocks, per_task));
  const Index measured = rows_measured<Writer>(blocks);
  return in_tasks(blocks, per_task, threads, [&](Index task, Index first_block, Index last_block) {
    auto totals = gradient.begin(task);
    blocks.each_measured(first_block, last_block, measured, [&](const auto& block) {
      const RowMoments<T>* of_block = moments + block.first_row;
      typename Statistic::Means means[std::decay_t<decltype(block)>::capacity];
      with_block(block, dy, [&](const auto& dy_of_block) {
        find_means(statistic, block, threads.spans, folded_by(writer, dy_of_block).first(),
                   folded_by(writer, x).first(), scale, of_block, means);
        block.template mapped<Writer::rows_at_once>([&](const auto& rows, int first) {
          const RowMoments<T>* of_rows = of_block + first;
          if (SIMDNORM_UNLIKELY(!all_ordinary(of_rows, means + first, rows.count()))) {
            differentiate_rare<Gradient>(statistic, scalable(rows), threads.spans, dy_of_block, x, scale,
                                         of_rows, rare_sink(dx), totals);
          } else {
            write_spans(threads.spans, writer, rows, dx,
                        [&](auto columns, const auto& part, const auto& read) {
                          differentiate<Statistic, Gradient>(rows, columns, read(dy_of_block), read(x), scale,
                                                             of_rows, means + first, part, totals);
                        });
          }
          totals.mark_begun();
        });
      });
    });
    writer.end();
  });
}

/// What the parameter gradients may be given.
struct GradientOptions {
  /// Adds to dgamma and dbeta instead of overwriting them.
  bool accumulate = false;
  /// gradient_workspace_bytes<T>(shape) bytes, aligned as a double is; nullptr: the call allocates them.
  void* workspace = nullptr;
};

template <class Blocks, class T> Index gradient_workspace_bytes_of(RowShape shape, Index sums) {
  return workspace_bytes<T>(segment_count(Blocks(shape)), shape.hidden, sums);
}

/// Bytes of scratch memory that backward takes for a shape and so many sums of columns: dgamma and dbeta are two, and each one
/// that dx asks for (branch.hpp) is one more.
template <class T> Index gradient_workspace_bytes(RowShape shape, Index sums = 2) {
  if (shape.rows < 1 || shape.hidden < 1 || shape.after < 1) return 0;
  return shape.after == 1 ? std::max(gradient_workspace_bytes_of<BlocksAlong<T>, T>(shape, sums),
                                     gradient_workspace_bytes_of<BlocksAcross<T>, T>(shape, sums))
                          : gradient_workspace_bytes_of<BlocksAcross<T>, T>(shape, sums);
}

/// What backward sums over rows for gamma and, of LayerNorm, for beta.
template <class Statistic, class Xhat, class G> auto sums_of_parameters(G* dgamma, G* dbeta) {
  const ColumnSum of_gamma{GammaTerm<Xhat>{}, dgamma};
  if constexpr (Statistic::centered) {
    return std::tuple{of_gamma, ColumnSum{BetaTerm{}, dbeta}};
  } else {
    return std::tuple{of_gamma};
  }
}

/// The same of what a call reads as dy, and what maps that to the gradient of xhat. (Of two: two_norms.hpp.)
template <class Statistic, class Xhat, class Dy, class G>
auto sums_of_gradients(const Dy& /*dy*/, G* dgamma, G* dbeta) {
  return sums_of_parameters<Statistic, Xhat>(dgamma, dbeta);
}
template <class Casting, class T, class P, class Dy>
auto gradient_scale_of(const Dy& /*dy*/, const P* gamma) {
  return Casting::gradient_scale(gamma);
}

/// The same where the statistic asks for more of it. (Of a part of the columns: first_columns.hpp.)
template <class Statistic, class Scale>
const Scale& scale_with(const Statistic& /*statistic*/, const Scale& scale) {
  return scale;
}

/// Backward with sums of columns, each of which may be null.
template <class Blocks, class Statistic, class Dy, class X, class Scale, class Dx, class Writer, class T,
          class Executor, class... Sum>
void backward_with_sums(RowShape shape, const Statistic& statistic, const Dy& dy, const X& x,
                        const Scale& scale, const RowMoments<T>* moments, const Dx& dx, const Writer& writer,
                        const GradientOptions& options, Executor&& executor, const Sum&... sums) {
  using Gradient = ParameterGradient<T, typename Blocks::Architecture, std::decay_t<decltype(sums.term)>...>;
  std::unique_ptr<double[]> own;
  void* workspace = options.workspace;
  if (workspace == nullptr) {
    const auto bytes =
        static_cast<std::size_t>(gradient_workspace_bytes_of<Blocks, T>(shape, Gradient::sums));
    own.reset(new double[bytes / sizeof(double)]);  // not cleared: each segment begins its own
    workspace = own.get();
  }
  const bool at_once = !Blocks::across && shape.rows <= Writer::rows_at_once && !options.accumulate;
  const Gradient gradient(shape.hidden, workspace, {(at_once ? sums.template of_type<T>() : nullptr)...},
                          sums.term...);
  const Index segments =
      backward<Blocks>(shape, statistic, dy, x, scale, moments, dx, writer, gradient, executor);
  gradient.finish(segments, options.accumulate, sums...);
}

/// What a call writes as dx beside such a dy. (Of gates: gated.hpp.)
template <class T, class Dy, class Dx> const Dx& written_beside(const Dy& /*dy*/, const Dx& dx) { return dx; }

/// The source for what a call reads as dy. X: the type of x's numbers. (Of gates: gated.hpp.)
template <class T, class Statistic, class Casting, class X, class P, class Dy, class Dx>
auto gradient_source_of(const Dy& dy, const P* /*gamma*/, const Dx& /*dx*/) {
  return source_of<T>(dy);
}

/// Backward from the sources dy and x of what is `read` to dx, and to sums of columns, with the blocks that fit how they lie in
/// memory; `of_call` as in forward_part. (Which statistic it is matters to find_means alone.)
template <class Statistic, class Read, class Dy, class X, class Scale, class T, class Dx, class Executor,
          class... Sum>
void backward_summing(RowShape shape, RowShape of_call, const Statistic& statistic, const Read& read,
                      const Dy& dy, const X& x, const Scale& scale, const RowMoments<T>* moments,
                      const Dx& dx, const GradientOptions& options, Executor&& executor, const Sum&... sums) {
  if (shape.rows == 0) {
    if (!options.accumulate) (sums.clear(shape.hidden), ...);
    return;
  }
  with_blocks<T>(shape, read, operands_of(dx), [&](auto type_of_blocks) {
    using Blocks = typename decltype(type_of_blocks)::type;
    with_sink<2, Blocks>(of_call, read, dx, [&](const auto& dx_rows, const auto& writer) {
      if ((... && (sums.sums == nullptr))) {
        backward<Blocks>(shape, statistic, dy, x, scale, moments, dx_rows, writer, NoParameterGradient{},
                         executor);
      } else {
        backward_with_sums<Blocks>(shape, statistic, dy, x, scale, moments, dx_rows, writer, options,
                                   executor, sums...);
      }
    });
  });
}

/// The same with gamma, and dgamma and dbeta where they are not null, and what else dx asks for.
template <class Statistic, class Casting, class Dy, class X, class P, class T, class Dx, class G,
          class Executor>
void backward_part(RowShape shape, RowShape of_call, const Dy& dy, const X& x, const P* gamma,
                   const RowMoments<T>* moments, const Dx& dx, G* dgamma, G* dbeta,
                   const GradientOptions& options, Executor&& executor, const Statistic& statistic = {}) {
  using Xhat = typename Casting::template Xhat<element_t<X>>;
  std::apply(
      [&](const auto&... sums) {
        backward_summing(shape, of_call, statistic, std::tuple_cat(operands_of(dy), operands_of(x)),
                         gradient_source_of<T, Statistic, Casting, element_t<X>>(dy, gamma, dx),
                         source_of<T>(x), scale_with(statistic, gradient_scale_of<Casting, T>(dy, gamma)),
                         moments, written_beside<T>(dy, dx), options, executor, sums...);
      },
      std::tuple_cat(sums_of_gradients<Statistic, Xhat>(dy, dgamma, dbeta), column_sums_of<T>(dx)));
}

/// The same of all rows, compiled here or dispatched as forward_rows.
template <class Statistic, class Casting, class Dy, class X, class P, class T, class Dx, class G,
          class Executor>
void backward_rows(RowShape shape, const Dy& dy, const X& x, const P* gamma, const RowMoments<T>* moments,
                   const Dx& dx, G* dgamma, G* dbeta, const GradientOptions& options,
                   const Executor& executor) {
  using Parts = PartsOfCall<Dx>;
  using U = typename Parts::type;
  if constexpr (is_dispatched<Statistic::kind, Casting::kind, U, P> && std::is_same_v<Dy, Strided<const U>> &&
                std::is_same_v<X, Strided<const U>> && std::is_same_v<G, T>) {
    dispatch<Statistic::kind, Casting::kind>(BackwardCall<U, P>{
        shape, &dy, &x, gamma, moments, Parts::rows(dx), dgamma, dbeta, options.accumulate, options.workspace,
        streaming_threshold(), any_executor(executor), Parts::addend(dx)});
  } else {
    backward_part<Statistic, Casting>(shape, shape, dy, x, gamma, moments, dx, dgamma, dbeta, options,
                                      executor);
  }
}

}  // namespace simdnorm
