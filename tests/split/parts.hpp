// Norms of rows whose columns are divided into parts, each given to the split operators by itself: the parts lie in one
// array, as slices of its columns, so that results are looked at as a whole.
#pragma once

#include <simdnorm/split_norm.hpp>

#include <numeric>

#include "support/accuracy.hpp"
#include "support/types.hpp"

namespace split {

using namespace support;
using simdnorm::Index;

// Columns of each of `parts` parts, or of as many as there are columns: 1 : 2 : 3 ..., at least one.
inline std::vector<Index> divided(Index hidden, Index parts) {
  parts = std::min(parts, hidden);
  std::vector<Index> columns;
  for (Index p = 0; p + 1 < parts; ++p)
    columns.push_back(std::max<Index>(1, hidden * (p + 1) * 2 / (parts * (parts + 1))));
  columns.push_back(hidden - std::accumulate(columns.begin(), columns.end(), Index(0)));
  return columns;
}

template <class U> Strided<U> from_column(const Strided<U>& rows, Index column) {
  return {rows.data + column * rows.column, rows.outer, rows.column};
}
template <class U> U* from_column(U* array, Index column) {
  return array == nullptr ? nullptr : array + column;
}

// Calls f(part, its shape, its first column).
template <class F> void each_part(RowShape shape, const std::vector<Index>& columns, const F& f) {
  Index first = 0;
  for (std::size_t p = 0; p < columns.size(); ++p) {
    f(static_cast<Index>(p), RowShape{shape.rows, columns[p], shape.after}, first);
    first += columns[p];
  }
}

template <Norm norm, class T> using Partial = simdnorm::PartialRow<T, norm == Norm::layer ? 2 : 1>;
template <Norm norm, class T>
using PartialGradient = simdnorm::PartialGradient<T, norm == Norm::layer ? 2 : 1>;

// Forward; the moments of each part, which must all be the same, are returned.
template <Norm norm, class Casting = simdnorm::RoundOnce, class T, class X, class P, class Y>
std::vector<RowMoments<T>> forward_in_parts(RowShape shape, const std::vector<Index>& columns,
                                            const Strided<X>& x, const P* gamma, const P* beta, T epsilon,
                                            const Strided<Y>& y, const Executor& executor = serial) {
  const Index count = static_cast<Index>(columns.size());
  std::vector<Partial<norm, T>> records = unwritten_array<Partial<norm, T>>(count * shape.rows);
  each_part(shape, columns, [&](Index p, RowShape of_part, Index first) {
    Partial<norm, T>* const mine = records.data() + p * shape.rows;
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_partial(of_part, from_column(x, first), epsilon, mine, executor);
    } else {
      simdnorm::rms_norm_partial(of_part, from_column(x, first), epsilon, mine, executor);
    }
  });
  std::vector<RowMoments<T>> moments, of_first;
  const simdnorm::Parts parts{records.data(), columns.data(), count};
  each_part(shape, columns, [&](Index p, RowShape of_part, Index first) {
    moments = unwritten_array<RowMoments<T>>(shape.rows);
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_apply<Casting>(of_part, from_column(x, first), from_column(gamma, first),
                                          from_column(beta, first), epsilon, parts, from_column(y, first),
                                          moments.data(), executor);
    } else {
      simdnorm::rms_norm_apply<Casting>(of_part, from_column(x, first), from_column(gamma, first), epsilon,
                                        parts, from_column(y, first), moments.data(), executor);
    }
    if (p == 0) of_first = moments;
    EXPECT_EQ(first_difference(moments, of_first), -1) << "the parts have different moments";
  });
  return moments;
}

// Backward; dgamma and dbeta (hidden), of RMSNorm without dbeta.
template <Norm norm, class Casting = simdnorm::RoundOnce, class T, class Dy, class X, class P, class Dx,
          class G>
void backward_in_parts(RowShape shape, const std::vector<Index>& columns, const Strided<Dy>& dy,
                       const Strided<X>& x, const P* gamma, const RowMoments<T>* moments,
                       const Strided<Dx>& dx, G* dgamma, G* dbeta, const Executor& executor = serial) {
  const Index count = static_cast<Index>(columns.size());
  std::vector<PartialGradient<norm, T>> records =
      unwritten_array<PartialGradient<norm, T>>(count * shape.rows);
  each_part(shape, columns, [&](Index p, RowShape of_part, Index first) {
    PartialGradient<norm, T>* const mine = records.data() + p * shape.rows;
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_gradient_partial<Casting>(of_part, from_column(dy, first), from_column(x, first),
                                                     from_column(gamma, first), moments, mine, executor);
    } else {
      simdnorm::rms_norm_gradient_partial<Casting>(of_part, from_column(dy, first), from_column(x, first),
                                                   from_column(gamma, first), moments, mine, executor);
    }
  });
  const simdnorm::Parts parts{records.data(), columns.data(), count};
  each_part(shape, columns, [&](Index, RowShape of_part, Index first) {
    if constexpr (norm == Norm::layer) {
      simdnorm::layer_norm_gradient_apply<Casting>(
          of_part, from_column(dy, first), from_column(x, first), from_column(gamma, first), moments, parts,
          from_column(dx, first), from_column(dgamma, first), from_column(dbeta, first), {}, executor);
    } else {
      simdnorm::rms_norm_gradient_apply<Casting>(
          of_part, from_column(dy, first), from_column(x, first), from_column(gamma, first), moments, parts,
          from_column(dx, first), from_column(dgamma, first), {}, executor);
    }
  });
}

// All outputs of both.
template <class T> struct Outputs {
  std::vector<T> y, dx, dgamma, dbeta;
  std::vector<RowMoments<T>> moments;
};
// Of a problem whose rows lie so.
template <Norm norm, class T>
Outputs<T> run_in_parts(const Problem<T>& p, const Places& at, const std::vector<Index>& columns,
                        const Executor& executor = serial) {
  const std::vector<T> x = at.spread(p.x), dy = at.spread(p.dy);
  Outputs<T> out{
      unwritten_array<T>(at.extent()), unwritten_array<T>(at.extent()), unwritten_array<T>(p.hidden), {}, {}};
  const T* const beta = norm == Norm::layer ? or_null(p.beta) : nullptr;
  out.moments = forward_in_parts<norm>(at.shape, columns, at.read(x), or_null(p.gamma), beta, p.epsilon,
                                       at.write(out.y), executor);
  if (norm == Norm::layer) out.dbeta = unwritten_array<T>(p.hidden);
  backward_in_parts<norm>(at.shape, columns, at.read(dy), at.read(x), or_null(p.gamma), out.moments.data(),
                          at.write(out.dx), out.dgamma.data(), out.dbeta.data(), executor);
  return out;
}
// The undivided norm's.
template <Norm norm, class T> Outputs<T> run_whole(const Problem<T>& p, const Places& at) {
  const std::vector<T> x = at.spread(p.x), dy = at.spread(p.dy);
  Outputs<T> out{unwritten_array<T>(at.extent()),
                 unwritten_array<T>(at.extent()),
                 unwritten_array<T>(p.hidden),
                 {},
                 unwritten_array<RowMoments<T>>(p.rows)};
  const bool layer = norm == Norm::layer;
  if (layer) out.dbeta = unwritten_array<T>(p.hidden);
  forward(norm, at.shape, at.read(x), or_null(p.gamma), layer ? or_null(p.beta) : nullptr, p.epsilon,
          at.write(out.y), out.moments.data());
  backward(norm, at.shape, at.read(dy), at.read(x), or_null(p.gamma), out.moments.data(), at.write(out.dx),
           out.dgamma.data(), layer ? out.dbeta.data() : nullptr);
  return out;
}
template <class T> void expect_same_bits(const Outputs<T>& got, const Outputs<T>& expected) {
  ASSERT_EQ(first_difference(got.moments, expected.moments), -1) << "moments";
  ASSERT_EQ(first_difference(got.y, expected.y), -1) << "y";
  ASSERT_EQ(first_difference(got.dx, expected.dx), -1) << "dx";
  ASSERT_EQ(first_difference(got.dgamma, expected.dgamma), -1) << "dgamma";
  ASSERT_EQ(first_difference(got.dbeta, expected.dbeta), -1) << "dbeta";
}

}  // namespace split
