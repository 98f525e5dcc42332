// The sums of rows, between the fold that makes them (fold.hpp) and what is found from them.
#pragma once

#include "../simd_transpose.hpp"
#include "row.hpp"

namespace simdnorm {

/// The sums of a row's lanes, once they are added to as many as a vector of doubles has: Extended, but for the order of
/// double's words.
template <class Arch> using OfFloats = Extended<float, simd::Vector<double, Arch>>;
template <class T, class Arch>
using LaneSums = std::conditional_t<std::is_same_v<T, float>, OfFloats<Arch>, VectorSum<double, Arch>>;

template <class Arch> SIMDNORM_INLINE OfFloats<Arch> lane_sums(const VectorSum<float, Arch>& sums) {
  return pairwise<simd::Doubles<float, Arch>::parts>([&](int i)
                                                         SIMDNORM_INLINE_LAMBDA { return sums.sum.part[i]; });
}
template <class Arch> SIMDNORM_INLINE VectorSum<double, Arch> lane_sums(const VectorSum<double, Arch>& sums) {
  return sums;
}

template <int Distance, class Arch>
SIMDNORM_INLINE void interleave(const OfFloats<Arch>& a, const OfFloats<Arch>& b, OfFloats<Arch>& lower,
                                OfFloats<Arch>& upper) {
  simd::interleave<Distance>(a.value, b.value, lower.value, upper.value);
}
template <int Distance, class Arch>
SIMDNORM_INLINE void interleave(const VectorSum<double, Arch>& a, const VectorSum<double, Arch>& b,
                                VectorSum<double, Arch>& lower, VectorSum<double, Arch>& upper) {
  simd::interleave<Distance>(a.hi, b.hi, lower.hi, upper.hi);
  simd::interleave<Distance>(a.lo, b.lo, lower.lo, upper.lo);
}
/// Element i is the sum of the elements of rows[i], added pairwise; `Rows` at once, as many as a vector has elements.
template <int Rows, class Arch, class Sums> SIMDNORM_INLINE Sums sums_of_elements(Sums* rows) {
  if constexpr (Rows > 1) {
    constexpr int half = Rows / 2;
    simd::unroll<half>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      Sums lower, upper;
      interleave<half, Arch>(rows[i], rows[i + half], lower, upper);
      rows[i] = lower + upper;
    });
    return sums_of_elements<half, Arch>(rows);
  } else {
    return rows[0];
  }
}

/// Sums of lanes in an array: first words, and, `count` numbers on, second ones; float's have none.
template <class Arch> SIMDNORM_INLINE void to_array(const OfFloats<Arch>& sums, double* p, Index /*count*/) {
  simd::store(simd::All{}, p, sums.value);
}
template <class Arch>
SIMDNORM_INLINE void to_array(const VectorSum<double, Arch>& sums, double* p, Index count) {
  sums.store(p, count);
}
template <class Arch>
SIMDNORM_INLINE void from_array(OfFloats<Arch>& sums, const double* p, Index /*count*/) {
  sums = simd::load<simd::Vector<double, Arch>>(simd::All{}, p);
}
template <class Arch>
SIMDNORM_INLINE void from_array(VectorSum<double, Arch>& sums, const double* p, Index count) {
  sums.load(p, count);
}
template <class Arch> SIMDNORM_INLINE OfFloats<Arch> extended(const OfFloats<Arch>& sums) { return sums; }
template <class Arch>
SIMDNORM_INLINE Extended<double, simd::Vector<double, Arch>> extended(const VectorSum<double, Arch>& sums) {
  return Extended<double, simd::Vector<double, Arch>>::two_sum(sums.hi, sums.lo);
}

/// The first and second words of numbers.
template <class V> void to_words(const Extended<float, V>& x, double* hi, double* /*lo*/) {
  simd::store(simd::All{}, hi, x.value);
}
template <class V> void to_words(const Extended<double, V>& x, double* hi, double* lo) {
  simd::store(simd::All{}, hi, x.hi);
  simd::store(simd::All{}, lo, x.lo);
}

/// A vector of one number: of one row by itself a square root and a division take less time than of as many as a vector has.
using OneNumber = simd::Vector<double, simd::NoSimd>;

/// `Sums` sums of each of up to `Rows` contiguous rows. (SumsAcross: of rows side by side.) load(r, count, sum) brings
/// those of the row r and of as many after it as a vector of doubles has elements, of `count` rows in all; beyond them
/// any of these rows may stand; load_rarely is the same, not inlined. load_row(r, sum) brings those of the row r alone. store(r,
/// count, sum) is the other way, for what was summed elsewhere.
template <class T, class Arch, int Sums, int Rows> class SumsAlong {
 public:
  using Vector = simd::Vector<double, Arch>;

  struct Numbers {
    Extended<T, Vector> sum[static_cast<std::size_t>(Sums)];
  };

  SIMDNORM_INLINE void set(int s, int r, const VectorSum<T, Arch>& sum) {
    to_array(lane_sums(sum), of_[s][r], width);
  }
  SIMDNORM_INLINE void load(int r, int count, Extended<T, Vector>* sum) const {
    simd::unroll<Sums>([&](auto s) SIMDNORM_INLINE_LAMBDA {
      LaneSums<T, Arch> rows[static_cast<std::size_t>(width)];
      simd::unroll<width>([&](auto i) SIMDNORM_INLINE_LAMBDA {
        from_array(rows[i], of_[s][std::min<int>(r + i, count - 1)], width);
      });
      sum[s] = extended(sums_of_elements<width, Arch>(rows));
    });
  }
  SIMDNORM_INLINE void load_row(int r, Extended<T, OneNumber>* sum) const {
    simd::unroll<Sums>([&](auto s) SIMDNORM_INLINE_LAMBDA {
      sum[s] = extended(pairwise<width>([&](int i) SIMDNORM_INLINE_LAMBDA {
        LaneSums<T, simd::NoSimd> of_lane;
        from_array(of_lane, of_[s][r] + i, width);
        return of_lane;
      }));
    });
  }
  SIMDNORM_COLD void load_rarely(int r, int count, Extended<T, Vector>* sum) const { load(r, count, sum); }
  void store(int r, int count, const Extended<T, Vector>* sum) {
    for (int s = 0; s < Sums; ++s) {
      double hi[static_cast<std::size_t>(width)], lo[static_cast<std::size_t>(width)];
      to_words(sum[s], hi, lo);
      for (int i = 0; i < std::min(width, count - r); ++i) {
        double* const row = of_[s][r + i];
        std::fill(row, row + size, 0.0);
        row[0] = hi[i];
        if constexpr (Extended<T>::words == 2) row[width] = lo[i];
      }
    }
  }

 private:
  static constexpr int width = Vector::width, size = Extended<T>::words * width;
  alignas(64) double of_[static_cast<std::size_t>(Sums)][static_cast<std::size_t>(Rows)]
                        [static_cast<std::size_t>(size)];
};

/// `Sums` sums of each of some rows side by side.
template <class T, class Arch, int Sums> class SumsAcross {
 public:
  using Vector = simd::Vector<double, Arch>;
  struct Numbers {
    Extended<T, Vector> sum[static_cast<std::size_t>(Sums)];
  };

  /// Takes the lanes' sums of each row, chain and sum: the chains' are added, then the 16 lanes' pairwise.
  template <int Chains> SIMDNORM_NOINLINE void set(const RowsAcross<T, Arch>& rows, double* lanes) {
    const Index count = rows.slots(Chains * Sums), one_lane = rows.slot(0, 1, 0);
    for (int s = 0; s < Sums; ++s) {
      double* const first = lanes + rows.slot(s, 0, 0);
      for (int chain = 1; chain < Chains; ++chain)
        add_totals<T, Arch>(lanes + rows.slot(chain * Sums + s, 0, 0), fold_lanes * one_lane, count, first);
      for (Index half = fold_lanes / 2 * one_lane; half >= one_lane; half /= 2)
        add_totals<T, Arch>(first + half, half, count, first);
      for (Index i = 0; i < one_lane; i += RowsAcross<T, Arch>::width) {
        VectorSum<T, Arch> sum;
        sum.load(first + i, count);
        sum.store(of_[s] + i, capacity);
      }
    }
  }
  SIMDNORM_INLINE void load(int r, int /*count*/, Extended<T, Vector>* sum) const { load_at<Arch>(r, sum); }
  SIMDNORM_INLINE void load_row(int r, Extended<T, OneNumber>* sum) const { load_at<simd::NoSimd>(r, sum); }
  SIMDNORM_COLD void load_rarely(int r, int count, Extended<T, Vector>* sum) const { load(r, count, sum); }
  void store(int r, int count, const Extended<T, Vector>* sum) {
    for (int s = 0; s < Sums; ++s) {
      double hi[static_cast<std::size_t>(Vector::width)], lo[static_cast<std::size_t>(Vector::width)];
      to_words(sum[s], hi, lo);
      const int rows = std::min(Vector::width, count - r);
      std::copy(hi, hi + rows, of_[s] + r);
      if constexpr (Extended<T>::words == 2) std::copy(lo, lo + rows, of_[s] + capacity + r);
    }
  }

 private:
  template <class As> SIMDNORM_INLINE void load_at(int r, Extended<T, simd::Vector<double, As>>* sum) const {
    for (int s = 0; s < Sums; ++s) {
      LaneSums<T, As> rows;
      from_array(rows, of_[s] + r, capacity);
      sum[s] = extended(rows);
    }
  }

  static constexpr int capacity = RowsAcross<T, Arch>::capacity;
  static constexpr int size =
      capacity * Extended<T>::words + Vector::width;  // a whole vector may begin at any row
  alignas(64) double of_[static_cast<std::size_t>(Sums)][static_cast<std::size_t>(size)];
};

/// The sums of a block's rows, of the type that fits the block.
template <class Block, int Sums, class T = typename Block::Scalar, class Arch = typename Block::Architecture>
using SumsOf = std::conditional_t<std::is_same_v<Block, RowsAcross<T, Arch>>, SumsAcross<T, Arch, Sums>,
                                  SumsAlong<T, Arch, Sums, Block::capacity>>;

}  // namespace simdnorm
