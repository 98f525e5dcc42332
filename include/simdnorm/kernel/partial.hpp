// Rows whose columns lie in several places, a part of them in each: what a part says of its rows, as forward and backward
// would find it, in records that can be sent. (merged.hpp puts them together.)
#pragma once

#include "../check.hpp"
#include "backward.hpp"

namespace simdnorm {

// --- records: plain numbers, to be sent as bytes or as doubles ---

/// What a part says of a row, for forward: of LayerNorm the mean and the variance about it, of RMSNorm the mean square, each
/// in Extended<T>; where T is double, of scale * x, and then scale, a power of two. All are NaN where the part is not finite.
template <class T, int Sums> struct PartialRow {
  static constexpr int words = Extended<T>::words, scales = words - 1;
  double numbers[static_cast<std::size_t>(Sums * words + scales)];
};
/// For backward: the sums over the part of g, unless Sums is 1, and of g * xhat, each in Extended<T>.
template <class T, int Sums> struct PartialGradient {
  static constexpr int words = Extended<T>::words;
  double numbers[static_cast<std::size_t>(Sums * words)];
};
template <class T> using LayerNormPartial = PartialRow<T, 2>;
template <class T> using RMSNormPartial = PartialRow<T, 1>;
template <class T> using LayerNormGradientPartial = PartialGradient<T, 2>;
template <class T> using RMSNormGradientPartial = PartialGradient<T, 1>;

/// The records of all parts, in the order of the parts: of the row r that of part p is records[p * rows + r].
template <class Record> struct Parts {
  const Record* records;  // (count, rows)
  const Index* hidden;    // (count): columns of each part
  Index count;

  Index columns() const {
    Index sum = 0;
    for (Index p = 0; p < count; ++p) sum += hidden[p];
    return sum;
  }
};
template <class Record, class I> Parts(Record*, I*, Index) -> Parts<std::remove_const_t<Record>>;

template <class Record, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const Parts<Record>& parts,
                           const Then& then) {
  const RowShape shape = check.shape();
  if (parts.count < 1) check.stop(check.message() << name << " are " << parts.count << ", not one or more");
  if (parts.hidden == nullptr) check.stop(check.message() << "hidden of the " << name << " is nullptr");
  if (parts.records == nullptr && shape.rows > 0)
    check.stop(check.message() << "the records of the " << name << " are nullptr");
  bool is_part = false;
  for (Index p = 0; p < parts.count; ++p) {
    if (parts.hidden[p] < 1)
      check.stop(check.message() << "hidden of part " << p << " must be at least 1 but is "
                                 << parts.hidden[p]);
    is_part |= parts.hidden[p] == shape.hidden;
  }
  if (!is_part) check.stop(check.message() << "none of the " << name << " has as many columns as the rows");
  then(Touched<Use::reads>{Check::array(name, parts.records, parts.count * shape.rows)},
       Touched<Use::reads>{Check::array("hidden of the parts", parts.hidden, parts.count)});
}

// --- numbers of records as vectors ---

/// What is number s of some rows' records in T, the double n of row i being number_of(i, n).
template <class T, class V, class NumberOf>
SIMDNORM_INLINE Extended<T, V> load_extended(int s, const NumberOf& number_of) {
  double words[static_cast<std::size_t>(Extended<T>::words)][static_cast<std::size_t>(V::width)];
  for (int w = 0; w < Extended<T>::words; ++w) {
    for (int i = 0; i < V::width; ++i) words[w][i] = number_of(i, s * Extended<T>::words + w);
  }
  if constexpr (Extended<T>::words == 1) {
    return simd::load<V>(simd::All{}, words[0]);
  } else {
    return {simd::load<V>(simd::All{}, words[0]), simd::load<V>(simd::All{}, words[1])};
  }
}
/// The other way, of the first `count` rows.
template <class T, class V, class SetNumber>
SIMDNORM_INLINE void store_extended(const Extended<T, V>& a, int s, int count, const SetNumber& set_number) {
  double words[2][static_cast<std::size_t>(V::width)];
  if constexpr (Extended<T>::words == 1) {
    simd::store(simd::All{}, words[0], a.value);
  } else {
    simd::store(simd::All{}, words[0], a.hi);
    simd::store(simd::All{}, words[1], a.lo);
  }
  for (int w = 0; w < Extended<T>::words; ++w) {
    for (int i = 0; i < count; ++i) set_number(i, s * Extended<T>::words + w, words[w][i]);
  }
}
/// All numbers of a record that has one that is not finite become the canonical NaN.
template <class Record> SIMDNORM_INLINE void make_canonical(Record& record) {
  bool finite = true;
  for (double number : record.numbers) finite &= std::isfinite(number);
  if (SIMDNORM_UNLIKELY(!finite)) {
    for (double& number : record.numbers) number = std::numeric_limits<double>::quiet_NaN();
  }
}

// --- what is measured on a part: as forward measures, but kept otherwise ---

/// What is found of scale * x, while it is measured: mean and variance, as numbers of the record and as the mean in T.
template <class T, int Sums> struct MeasuredRow {
  T mean, scale;
  double numbers[static_cast<std::size_t>(Sums * Extended<T>::words)];
};
template <class T, int Sums> SIMDNORM_INLINE void read_unscaled(MeasuredRow<T, Sums>* rows, int count) {
  for (int r = 0; r < count; ++r) rows[r].scale = T(1);
}

template <class Statistic, class Lanes, class T, class V, int Sums>
SIMDNORM_INLINE Extended<T, V> keep(Lanes lanes, const Spread<T, V>& found, double epsilon,
                                    MeasuredRow<T, Sums>* rows) {
  const int count = simd::count_of<V>(lanes);
  const auto set_number = [&](int r, int n, double number)
                              SIMDNORM_INLINE_LAMBDA { rows[r].numbers[n] = number; };
  store_extended(found.variance, Sums - 1, count, set_number);
  if constexpr (Statistic::centered) {
    T mean[V::width];
    found.mean.round(mean);
    for (int r = 0; r < count; ++r) rows[r].mean = mean[r];
    store_extended(found.mean, 0, count, set_number);
  }
  return found.variance + Extended<T, V>::all(epsilon);
}

template <class Statistic, class Row, class Source, class T, int Sums, class Threads>
SIMDNORM_COLD void measure_scaled(const Row& row, const Source& source, const Statistic& statistic,
                                  const Spans<Threads>& spans, MeasuredRow<T, Sums>* record) {
  record->scale = scale_of(row, source, spans.hidden, statistic.epsilon);
  if (record->scale != record->scale) return;
  if constexpr (Statistic::centered) {
    const T value = constant_of(row, source, spans.hidden);
    if (value == value) {
      record->scale = scale_for<T>(value == T(0) ? 0 : std::ilogb(value));
      std::fill(std::begin(record->numbers), std::end(record->numbers), 0.0);
      record->numbers[0] = static_cast<double>(value * record->scale);
      return;
    }
  }
  measure_alone(row, source, statistic, spans, record);
  // Beside an epsilon that is so large, squares may be lost; but the variance of a row that is not constant is not 0.
  double& variance = record->numbers[(Sums - 1) * Extended<T>::words];
  if (Statistic::centered && variance == 0) variance = std::numeric_limits<double>::denorm_min();
}

/// As it is sent.
template <int Sums> SIMDNORM_INLINE PartialRow<float, Sums> partial_of(const MeasuredRow<float, Sums>& row) {
  const double inverse = 1 / static_cast<double>(row.scale);  // a power of two: nothing is rounded
  PartialRow<float, Sums> partial;
  for (int s = 0; s < Sums; ++s) partial.numbers[s] = row.numbers[s] * inverse;
  partial.numbers[Sums - 1] *= inverse;
  make_canonical(partial);
  return partial;
}
template <int Sums>
SIMDNORM_INLINE PartialRow<double, Sums> partial_of(const MeasuredRow<double, Sums>& row) {
  PartialRow<double, Sums> partial;
  std::copy(std::begin(row.numbers), std::end(row.numbers), partial.numbers);
  partial.numbers[2 * Sums] = row.scale;
  make_canonical(partial);
  return partial;
}

/// partials[r] = what this part says of row r.
template <class Statistic, class X, class T, int Sums, class Executor>
void measure_part(RowShape shape, const X& x, const Statistic& statistic, PartialRow<T, Sums>* partials,
                  Executor&& executor) {
  if (shape.rows == 0) return;
  const Index hidden = shape.hidden;
  const auto source = source_of<T>(x);
  with_blocks<T>(shape, operands_of(x), std::tuple(), [&](auto type_of_blocks) {
    const typename decltype(type_of_blocks)::type blocks(shape);
    const TasksOrSpans threads(executor, hidden, task_count(blocks, blocks.per_task()));
    in_tasks(blocks, blocks.per_task(), threads, [&](Index /*task*/, Index first_block, Index last_block) {
      blocks.each(first_block, last_block, [&](const auto& block) {
        MeasuredRow<T, Sums> rows[std::decay_t<decltype(block)>::capacity];
        measure(block, source, statistic, threads.spans, rows);
        for (int r = 0; r < block.count(); ++r) {
          PartialRow<T, Sums>& partial = partials[block.first_row + r];
          partial = partial_of(rows[r]);
          if (SIMDNORM_UNLIKELY(partial.numbers[0] != partial.numbers[0])) source.tidy(block.row(r), hidden);
        }
      });
    });
  });
}

// --- backward ---

/// What a part adds to the sums over some rows.
template <class Statistic, class T, class V, int Sums>
SIMDNORM_INLINE void keep_sums(const Extended<T, V> (&sum)[Statistic::sums], Index /*divisor*/, int count,
                               PartialGradient<T, Sums>* partials) {
  const int rows = std::min(V::width, count);
  for (int s = 0; s < Sums; ++s) {
    store_extended(sum[s], s, rows, [&](int r, int n, double number) SIMDNORM_INLINE_LAMBDA {
      partials[r].numbers[n] = number;
    });
  }
  for (int r = 0; r < rows; ++r) make_canonical(partials[r]);
}

/// partials[r] = what this part adds to the sums over row r.
template <class Statistic, class Casting, class Dy, class X, class P, class T, int Sums, class Executor>
void sum_part(RowShape shape, const Strided<const Dy>& dy, const Strided<const X>& x, const P* gamma,
              const RowMoments<T>* moments, PartialGradient<T, Sums>* partials, Executor&& executor) {
  if (shape.rows == 0) return;
  const Index hidden = shape.hidden;
  const LoadedRows<Dy> dy_rows{dy};
  const LoadedRows<X> x_rows{x};
  const auto scale = Casting::gradient_scale(gamma);
  with_blocks<T>(shape, operands_of(dy), operands_of(x), [&](auto type_of_blocks) {
    const typename decltype(type_of_blocks)::type blocks(shape);
    const TasksOrSpans threads(executor, hidden, task_count(blocks, blocks.per_task()));
    in_tasks(blocks, blocks.per_task(), threads, [&](Index /*task*/, Index first_block, Index last_block) {
      blocks.each(first_block, last_block, [&](const auto& block) {
        const RowMoments<T>* of_block = moments + block.first_row;
        PartialGradient<T, Sums>* const partial = partials + block.first_row;
        gradient_means<Statistic>(block, threads.spans, hidden, dy_rows, x_rows, scale, of_block, partial);
        // Again, as backward does, rows that are scaled, and those whose columns beyond the end have overflowed.
        for (int r = 0; r < block.count(); ++r) {
          const bool is_number = partial[r].numbers[0] == partial[r].numbers[0];
          if (SIMDNORM_UNLIKELY(!(is_number && all_unscaled(of_block + r, 1))))
            gradient_means<Statistic>(block.row(r), threads.spans, hidden, dy_rows, x_rows, scale,
                                      of_block + r, partial + r);
        }
      });
    });
  });
}

}  // namespace simdnorm
