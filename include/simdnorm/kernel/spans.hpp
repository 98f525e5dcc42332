// A long row in spans of columns: its sum is that of its spans', so that several threads may fold and write one row.
//
// The borders depend on the length of the row alone, and each span is folded by the tree of row.hpp; what the spans of a row
// come to is added in their order. So the bits are those of one thread. A row of up to 16384 columns is one span.
#pragma once

#include <algorithm>
#include <iterator>

#include "../dispatch/call.hpp"
#include "fold.hpp"

namespace simdnorm {

inline constexpr Index shortest_span = 16384;
inline constexpr int span_limit = 32;

/// The spans of rows of `hidden` columns. Threads: those that share the spans, where a call has few but long rows; Serial
/// where each thread has rows of its own.
template <class Threads = Serial> struct Spans {
  Index hidden;
  Threads threads;

  SIMDNORM_INLINE explicit Spans(Index columns, const Threads& executor = {})
      : hidden(columns), threads(executor) {}
  SIMDNORM_INLINE bool are_several() const { return hidden > shortest_span; }
  SIMDNORM_INLINE Index length() const {
    const Index least = (hidden + span_limit - 1) / span_limit;
    return std::max(shortest_span, (least + fold_step - 1) / fold_step * fold_step);
  }
  SIMDNORM_INLINE int count() const { return static_cast<int>((hidden + length() - 1) / length()); }
  SIMDNORM_INLINE Columns operator[](Index i) const {
    return {i * length(), std::min(hidden, (i + 1) * length())};
  }

  /// Calls f(i) for all spans, of so many rows.
  template <class F> SIMDNORM_COLD void share(int rows, const F& f) const {
    threads(count(), length() * rows, f);
  }
};

/// Threads share the spans of rows so long that it pays to wait for them twice a row, in a call of too few tasks to go round.
inline constexpr Index shortest_shared_row = Index(1) << 20;
inline constexpr Index few_tasks = 8;

/// An executor of a call's tasks and the spans of its rows: one or the other is spread over the threads.
template <class Executor> struct TasksOrSpans {
  const Executor& executor;
  Spans<AnyExecutor> spans;

  SIMDNORM_INLINE TasksOrSpans(const Executor& threads, Index hidden, Index tasks)
      : executor(threads), spans(hidden, any_executor(Serial{})) {
    if (hidden >= shortest_shared_row && tasks < few_tasks) spans.threads = any_executor(executor);
  }
  template <class F> SIMDNORM_INLINE void operator()(Index tasks, Index elements_per_task, const F& f) const {
    if (SIMDNORM_UNLIKELY(spans.threads.run != nullptr)) {
      Serial{}(tasks, elements_per_task, f);
    } else {
      executor(tasks, elements_per_task, f);
    }
  }
};
template <> struct TasksOrSpans<Serial> : Serial {
  Spans<> spans;
  SIMDNORM_INLINE TasksOrSpans(const Serial&, Index hidden, Index /*tasks*/) : spans(hidden) {}
};

/// What folds some columns of some rows, by reference: of a type that does not say what it reads, so that what is rare is compiled
/// once for all sources.
template <class Sums> struct AnyFold {
  const void* fold;
  void (*call)(const void* fold, Columns columns, Sums& sums);
};
template <class Sums, class Fold> AnyFold<Sums> any_fold(const Fold& fold) {
  return {&fold,
          [](const void* f, Columns columns, Sums& sums) { (*static_cast<const Fold*>(f))(columns, sums); }};
}

/// `sums` of `rows` rows, of which fold(columns, sums) finds those of a span.
template <class Sums, class Threads>
SIMDNORM_COLD void fold_each_span(const Spans<Threads>& spans, int rows, AnyFold<Sums> fold, Sums& sums) {
  Sums of_span[span_limit];
  spans.share(rows, [&](Index i) { fold.call(fold.fold, spans[i], of_span[i]); });
  const int count = spans.count();
  for (int r = 0; r < rows; r += Sums::Vector::width) {
    typename Sums::Numbers total, more;
    of_span[0].load_rarely(r, rows, total.sum);
    for (int i = 1; i < count; ++i) {
      of_span[i].load_rarely(r, rows, more.sum);
      for (std::size_t s = 0; s < std::size(total.sum); ++s) total.sum[s] = total.sum[s] + more.sum[s];
    }
    sums.store(r, rows, total.sum);
  }
}
template <class Sums, class Threads, class Fold>
SIMDNORM_INLINE void fold_spans(const Spans<Threads>& spans, int rows, const Fold& fold, Sums& sums) {
  if (SIMDNORM_UNLIKELY(spans.are_several())) {
    fold_each_span(spans, rows, any_fold<Sums>(fold), sums);
  } else {
    fold(Columns{0, spans.hidden}, sums);
  }
}

}  // namespace simdnorm
