// Eigen's tensors and matrices as rows: which dimensions are normalized, and where the elements lie.
#pragma once

#include <algorithm>
#include <array>

#include <unsupported/Eigen/CXX11/Tensor>

#include "../check.hpp"
#include "../simd_number.hpp"

namespace simdnorm {

/// Which dimensions are normalized: `count` neighbouring ones. The default is the last.
struct Axes {
  int first = -1;  // negative: counted from the end, -1 is the last
  int count = 1;
};
/// One dimension; negative counts from the last.
constexpr Axes axis(int dimension) { return {dimension, 1}; }
/// The last `count` dimensions at once: the normalized_shape of PyTorch.
constexpr Axes last_axes(int count) { return {-count, count}; }

inline constexpr int largest_rank = 6;

/// The dimensions of an Eigen object, from the slowest to the fastest: `Rank`, or, where it was made of another layout, at most
/// so many. What an ordinary call does with it is inlined, and messages take a copy: its numbers can stay in registers. (g++ 12
/// keeps them there only where no member is followed by a gap, and no object that holds a layout is const itself: a reference to it is.)
template <int Rank> struct Layout {
  int rank = Rank;
  int row_major = 1;
  std::array<Index, static_cast<std::size_t>(Rank)> size{};  // slowest first; 1 beyond the rank
  std::array<Index, static_cast<std::size_t>(Rank)> step{};  // elements from one index to the next

  Layout() = default;
  template <int Fewer, class = std::enable_if_t<(Fewer < Rank)>>
  Layout(const Layout<Fewer>& other) : rank(other.rank), row_major(other.row_major) {
    size.fill(1);
    std::copy(other.size.begin(), other.size.end(), size.begin());
    std::copy(other.step.begin(), other.step.end(), step.begin());
  }

  SIMDNORM_INLINE Index elements() const {
    Index product = 1;
    simd::unroll<Rank>([&](auto d) SIMDNORM_INLINE_LAMBDA { product *= size[d]; });
    return product;
  }
  /// No gaps.
  SIMDNORM_INLINE bool is_packed() const {
    Index next = 1;
    bool packed = true;
    simd::unroll<Rank>([&](auto i) SIMDNORM_INLINE_LAMBDA {
      constexpr std::size_t d = Rank - 1 - i;
      packed &= size[d] == 1 || step[d] == next;
      next *= size[d];
    });
    return packed;
  }
  SIMDNORM_INLINE bool has_sizes_of(const Layout& other) const {
    bool all = true;
    simd::unroll<Rank>([&](auto d) SIMDNORM_INLINE_LAMBDA { all &= size[d] == other.size[d]; });
    return all;
  }
};

/// "(2, 3)", in the order in which the user counts dimensions.
template <int Rank> SIMDNORM_COLD Message& operator<<(Message& words, Layout<Rank> layout) {
  words << "(";
  for (int d = 0; d < layout.rank; ++d)
    words << (d == 0 ? "" : ", ")
          << layout.size[static_cast<std::size_t>(layout.row_major ? d : layout.rank - 1 - d)];
  return words << ")";
}

/// An Eigen object as it lies in memory.
template <class T, int Rank> struct Operand {
  T* data = nullptr;
  Layout<Rank> layout;
};

/// Which call it is, for messages: "LayerNorm.forward: ".
struct Operation {
  const char* norm;
  const char* method;

  SIMDNORM_INLINE Message message() const { return message_of(*this); }

 private:
  SIMDNORM_COLD static Message message_of(Operation call) {
    return Message() << call.norm << "." << call.method << ": ";
  }
};

// --- which Eigen types ---

template <class X, class = void>
inline constexpr bool is_matrix = false;  // Matrix, Array, Map, Ref, Block, ...
template <class X>
inline constexpr bool is_matrix<X, std::enable_if_t<std::is_base_of_v<Eigen::DenseBase<X>, X>>> = true;

template <class X, class = void>
inline constexpr bool is_tensor = false;  // Tensor, TensorMap, TensorRef, TensorFixedSize: what has memory
template <class X>
inline constexpr bool
    is_tensor<X, std::void_t<decltype(std::declval<const X&>().dimensions()),
                             decltype(std::declval<const X&>().data()), decltype(X::NumDimensions)>> = true;

template <class X> constexpr bool has_memory() {
  if constexpr (is_matrix<X>) {
    return (static_cast<unsigned>(X::Flags) & static_cast<unsigned>(Eigen::DirectAccessBit)) != 0;
  } else {
    return is_tensor<X>;
  }
}

/// What has none: a matrix or tensor that is computed (expression.hpp).
template <class X> constexpr bool is_expression() {
  return (is_matrix<X> ||
          std::is_base_of_v<Eigen::TensorBase<X, Eigen::ReadOnlyAccessors>, X>)&&!has_memory<X>();
}
/// What a call may read as rows.
template <class X> constexpr bool is_readable() { return has_memory<X>() || is_expression<X>(); }

template <class X> constexpr bool is_row_major() {
  if constexpr (is_matrix<X>) {
    return bool(X::IsRowMajor);
  } else if constexpr (is_expression<X>()) {
    return static_cast<int>(Eigen::internal::traits<X>::Layout) == static_cast<int>(Eigen::RowMajor);
  } else {
    return static_cast<int>(X::Layout) == static_cast<int>(Eigen::RowMajor);
  }
}
template <class X> constexpr int rank_of() {
  if constexpr (is_matrix<X>) {
    return X::IsVectorAtCompileTime ? 1 : 2;
  } else {
    return static_cast<int>(X::NumDimensions);
  }
}

/// How numbers of an Eigen object lie in memory.
template <class Scalar> struct StoredAs { using type = Scalar; };
template <> struct StoredAs<Eigen::bfloat16> { using type = BFloat16; };
template <> struct StoredAs<Eigen::half> { using type = Float16; };
template <class X> using stored_t = typename StoredAs<typename std::decay_t<X>::Scalar>::type;

inline constexpr Eigen::DefaultDevice default_device{};  // what Eigen computes expressions on

/// The sizes of a tensor without gaps. X: its type.
template <class X, class Dimensions>
SIMDNORM_INLINE void set_dimensions(const Dimensions& dimensions, Layout<rank_of<X>()>& layout) {
  Index step = 1;
  simd::unroll<rank_of<X>()>([&](auto i) SIMDNORM_INLINE_LAMBDA {  // from the fastest
    constexpr int from_slowest = rank_of<X>() - 1 - i;
    constexpr int as_counted = is_row_major<X>() ? from_slowest : int{i};
    const Index size = dimensions[as_counted];
    layout.size[from_slowest] = size;
    layout.step[from_slowest] = step;
    step *= size;
  });
}

/// The sizes of x, and the steps; where x has no memory, those that it would have without gaps.
template <class X> SIMDNORM_INLINE Layout<rank_of<X>()> layout_of(const X& x) {
  static_assert(rank_of<X>() >= 1 && rank_of<X>() <= largest_rank,
                "simdnorm: tensors have rank 1 to 6: reshape, or normalize several axes at once");
  Layout<rank_of<X>()> layout;
  layout.row_major = is_row_major<X>();
  if constexpr (is_matrix<X>) {
    std::array<Index, 2> step = {x.innerSize(), 1};
    if constexpr (has_memory<X>()) step = {x.outerStride(), x.innerStride()};
    if constexpr (X::IsVectorAtCompileTime) {
      layout.size[0] = x.size();
      layout.step[0] = step[1];
    } else {
      layout.size = {x.outerSize(), x.innerSize()};
      layout.step = {step[0], step[1]};
    }
  } else if constexpr (is_expression<X>()) {
    set_dimensions<X>(Eigen::TensorEvaluator<const X, Eigen::DefaultDevice>(x, default_device).dimensions(),
                      layout);
  } else {
    set_dimensions<X>(x.dimensions(), layout);
  }
  return layout;
}

/// x as an operand. X: a tensor or matrix that has memory; T: stored_t<X>, const where it is only read.
template <class T, class X> SIMDNORM_INLINE auto operand(X& x) {
  using Plain = std::remove_const_t<X>;
  Operand<T, rank_of<Plain>()> result;
  if constexpr (std::is_same_v<std::remove_const_t<T>, typename Plain::Scalar>) {
    result.data = x.data();
  } else {
    static_assert(sizeof(T) == sizeof(typename Plain::Scalar));
    result.data = reinterpret_cast<T*>(x.data());
  }
  result.layout = layout_of<Plain>(x);
  return result;
}

// --- rows ---

/// The normalized dimensions [begin, end) of a layout, slowest first.
struct AxisRange {
  Index begin, end;

  template <int Rank> SIMDNORM_INLINE AxisRange(Axes axes, const Layout<Rank>& layout) {
    const Index first = axes.first < 0 ? Index{axes.first} + layout.rank : Index{axes.first};
    begin = layout.row_major ? first : layout.rank - first - axes.count;
    end = begin + axes.count;
  }
};

template <int Rank>
[[noreturn]] SIMDNORM_COLD void fail_for_axes(Axes axes, Layout<Rank> x, Operation operation) {
  (operation.message() << "axes [" << Index{axes.first} << ", " << Index{axes.first} + axes.count
                       << ") do not exist in x of shape " << x)
      .fail();
}
/// A layout as rows over some axes.
template <int Rank>
SIMDNORM_INLINE RowShape rows_over(Axes axes, const Layout<Rank>& x, const Operation& operation) {
  const AxisRange range(axes, x);
  if (axes.count < 1 || range.begin < 0 || range.end > x.rank) fail_for_axes(axes, x, operation);
  RowShape shape{1, 1, 1};
  simd::unroll<Rank>([&](auto d) SIMDNORM_INLINE_LAMBDA {
    const bool normalized = d >= range.begin && d < range.end;
    shape.hidden *= normalized ? x.size[d] : 1;
    shape.rows *= normalized ? 1 : x.size[d];
    shape.after *= d >= range.end ? x.size[d] : 1;
  });
  if (shape.rows == 0) shape.after = 1;
  return shape;
}

/// Of a tensor (..., tokens, heads, features) whose last dimension is normalized: how many rows that follow one another are of
/// one position (the heads; of a column-major tensor the batch), and the tokens of a sequence. Of others 0.
struct TokenRows {
  Index heads = 0, tokens = 0;
};
template <int Rank> SIMDNORM_NOINLINE TokenRows token_rows(Axes axes, const Layout<Rank>& x) {
  const AxisRange range(axes, x);
  const Index features = x.row_major ? x.rank - 1 : 0, tokens = x.row_major ? x.rank - 3 : 2;
  if (x.rank < 3 || axes.count != 1 || range.begin != features) return {};
  TokenRows rows{1, x.size[static_cast<std::size_t>(tokens)]};
  for (Index d = tokens + 1; d < x.rank; ++d)
    if (d != features) rows.heads *= x.size[static_cast<std::size_t>(d)];
  return rows;
}

/// Where the rows of an operand lie: the strides `outer` and `column` of Strided.
struct RowStrides {
  Index outer, column;
};
template <int Rank>
SIMDNORM_COLD RowStrides strides_with_gaps(Axes axes, Layout<Rank> layout, RowShape shape, const char* name,
                                           Operation operation) {
  // What has gaps is a matrix (rank 2), or a vector (rank 1) with a stride.
  const AxisRange range(axes, layout);
  if (axes.count == 2)
    (operation.message() << "both dimensions of " << name << " of shape " << layout
                         << " are normalized, but it has gaps")
        .fail();
  if constexpr (Rank == 2) {
    if (range.end == 1 && layout.step[1] != 1 && layout.size[1] != 1)
      (operation.message() << name << " of shape " << layout << " has inner stride " << layout.step[1]
                           << ", but rows that lie side by side need 1")
          .fail();
  }
  const Index column = layout.step[static_cast<std::size_t>(range.end - 1)];
  return {range.begin > 0 ? layout.step[0] : column * shape.hidden, column};
}
template <int Rank>
SIMDNORM_INLINE RowStrides row_strides(Axes axes, const Layout<Rank>& layout, RowShape shape,
                                       const char* name, const Operation& operation) {
  if (layout.is_packed()) return {shape.hidden * shape.after, shape.after};
  return strides_with_gaps(axes, layout, shape, name, operation);
}

}  // namespace simdnorm
