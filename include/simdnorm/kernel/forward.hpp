// The forward driver: for each block of rows, measure, keep the moments, normalize.
#pragma once

#include "../dispatch/call.hpp"
#include "../operands.hpp"
#include "blocks.hpp"
#include "epilogue.hpp"
#include "measure.hpp"
#include "parameter_gradient.hpp"
#include "spans.hpp"
#include "writer.hpp"

namespace simdnorm {

/// The order in which columns are visited is that of their range. (Of others than row.hpp has: rotated.hpp.)
template <class Rows, class Range, class Prepare, class Each, class Finish>
SIMDNORM_LOOP void visit(const Rows& rows, Range columns, const Prepare& prepare, const Each& each,
                         const Finish& finish) {
  rows.visit(columns, prepare, each, finish);
}

/// y = epilogue(xhat) for some columns of some rows. The policies are copied, here and in all that loops over columns:
/// stores to y can then not be taken for changes to them, and what they hold stays in registers. (Passed by value they
/// would be written and read again for each call.)
template <class Statistic, class Rows, class Range, class Source, class Epilogue, class Sink, class T>
SIMDNORM_KERNEL void normalize(Rows rows, Range columns, const Source& source_of_rows,
                               const RowMoments<T>* moments, const Epilogue& epilogue_of_rows,
                               const Sink& sink_of_rows) {
  const Source source = source_of_rows;
  const Epilogue epilogue = epilogue_of_rows;
  auto sink = begun(sink_of_rows, rows);
  const auto& x = scaled(rows, source, moments);
  const typename Statistic::template Normalizer<Rows> xhat(rows, moments);
  visit(
      rows, in_order_of(sink, columns), [&](auto column) SIMDNORM_BODY { return epilogue.at(rows, column); },
      [&](auto at, const auto& map)
          SIMDNORM_BODY { sink.store(rows, at, rounded(map(xhat.unrounded(at, x.last(rows, at))))); },
      [](auto, const auto&) {});
  ended(sink, rows);
}

/// The same for each of some rows of which one is scaled or not finite, and then all NaN.
template <class Statistic, class Row, class Source, class Epilogue, class Sink, class Writer, class T>
SIMDNORM_COLD void normalize_rare(Row row, Index hidden, const Source& source, const RowMoments<T>* moments,
                                  const Epilogue& epilogue, const Sink& sink, const Writer& writer) {
  source.tidy(row, hidden);
  writer.write(row, Columns{0, hidden}, sink, [&](auto columns, const auto& part, const auto& read) {
    using Part = std::decay_t<decltype(part)>;
    normalize<Statistic>(row, columns, read(source), moments, epilogue, CanonicalSink<Part>{part});
  });
}

/// Forward over all rows; the executor spreads the tasks, runs of blocks, over threads, or the spans of few long rows.
template <class Blocks, class Statistic, class Source, class Epilogue, class Sink, class Writer,
          class Executor>
SIMDNORM_INLINE void forward(RowShape shape, const Source& source, const Statistic& statistic,
                             const Epilogue& epilogue, const Sink& sink, const Writer& writer,
                             const MomentsSink<typename Statistic::Scalar>& kept, Executor&& executor) {
  using T = typename Statistic::Scalar;
  const Index hidden = shape.hidden;
  const Blocks blocks(shape);
  const Index per_task = blocks.per_task();
  const TasksOrSpans threads(executor, hidden, task_count(blocks, per_task));
  const Index measured = rows_measured<Writer>(blocks, writer.pairs_blocks);
  in_tasks(blocks, per_task, threads, [&](Index /*task*/, Index first_block, Index last_block) {
    blocks.each_measured(first_block, last_block, measured, [&](const auto& block) {
      RowMoments<T> moments[std::decay_t<decltype(block)>::capacity];
      measure(block, folded_by(writer, source), statistic, threads.spans, moments);
      kept.store(block, moments);
      with_block(block, sink, [&](const auto& of_block) {
        block.template mapped<Writer::rows_at_once>([&](const auto& rows, int first) {
          if (SIMDNORM_UNLIKELY(!all_unscaled(moments + first, rows.count()))) {
            for (int r = 0; r < rows.count(); ++r)
              normalize_rare<Statistic>(rows.row(r), hidden, source, moments + first + r, epilogue,
                                        rare_sink(of_block), writer.rarely());
          } else {
            write_spans(threads.spans, writer, rows, of_block,
                        [&](auto columns, const auto& part, const auto& read) {
                          normalize<Statistic>(rows, columns, read(source), moments + first, epilogue, part);
                        });
          }
        });
      });
    });
    writer.end();
  });
}

/// x where it is to be stored in y until that is written. (Of gates: gated.hpp.)
template <class T, class X, class Y> const X& kept_in(const X& x, const Y& /*y*/) { return x; }

/// Forward from x to y, with the blocks that fit how they lie in memory; `of_call` is the shape of the call that these rows
/// are a part of, which decides how they are written.
template <class Statistic, class X, class Epilogue, class Y, class T, class Executor>
void forward_part(RowShape shape, RowShape of_call, const X& x_of_call, const Statistic& statistic,
                  const Epilogue& epilogue, const Y& y, RowMoments<T>* moments, Executor&& executor) {
  static_assert(column_sums<Y> == 0, "simdnorm: dbias and dlayer_scale are for dx of a backward");
  if (shape.rows == 0) return;
  const auto& x = kept_in<T>(x_of_call, y);
  const auto read = operands_of(x);
  with_blocks<T>(shape, read, operands_of(y), [&](auto type_of_blocks) {
    using Blocks = typename decltype(type_of_blocks)::type;
    with_sink<1, Blocks>(of_call, read, y, [&](const auto& sink, const auto& writer) SIMDNORM_INLINE_LAMBDA {
      forward<Blocks>(shape, source_of<T>(x), statistic, epilogue, sink, writer, MomentsSink<T>{moments},
                      executor);
    });
  });
}

/// What maps xhat to y, of a y that may be more than one. (Of two: two_norms.hpp.)
template <class Statistic, class Casting, class X, class Epilogue, class Y>
const Epilogue& epilogue_to(const Y& /*y*/, const Epilogue& epilogue) {
  return epilogue;
}

/// The same of all rows, with gamma, and, where the statistic has it, beta, as Casting takes them.
template <class Casting, class X, class Statistic, class P, class B, class Y, class T, class Executor>
void forward_with(RowShape shape, const X& x, const Statistic& statistic, const P* gamma, const B* beta,
                  const Y& y, RowMoments<T>* moments, const Executor& executor) {
  using U = element_t<X>;
  const auto epilogue = epilogue_of<Statistic, Casting, U>(gamma, beta);
  forward_part(shape, shape, x, statistic, epilogue_to<Statistic, Casting, U>(y, epilogue), y, moments,
               executor);
}

/// The same, compiled here, or dispatched to kernels that are compiled for the processor's instruction set.
template <class Statistic, class Casting, class X, class P, class B, class Y, class T, class Executor>
void forward_rows(RowShape shape, const X& x, const P* gamma, const B* beta, T epsilon, const Y& y,
                  RowMoments<T>* moments, const Executor& executor) {
  using Parts = PartsOfCall<X>;
  using U = typename Parts::type;
  if constexpr (is_dispatched<Statistic::kind, Casting::kind, U, P> && std::is_same_v<B, P> &&
                std::is_same_v<Y, Strided<U>>) {
    dispatch<Statistic::kind, Casting::kind>(
        ForwardCall<U, P>{shape, Parts::rows(x), gamma, beta, epsilon, &y, moments, streaming_threshold(),
                          any_executor(executor), Parts::residual(x), Parts::sum(x)});
  } else {
    forward_with<Casting>(shape, x, Statistic{epsilon}, gamma, beta, y, moments, executor);
  }
}

}  // namespace simdnorm
