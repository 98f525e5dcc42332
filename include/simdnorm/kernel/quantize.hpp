// Results in 8 bits: int8 or fp8, with one scale for each row, or one for all.
//
// A code stands for code * scale (int8 for all rows: (code - zero) * scale); it is what y * (1/scale) is nearest to, in
// float, of two the even one.
#pragma once

#include "../check.hpp"
#include "../operands.hpp"
#include "forward.hpp"

namespace simdnorm {

/// What quantizing asks of a type of codes: the largest number, and a vector's codes, each at the lower end of a word.
template <class Q> struct Codes;

/// Added to a float of less than 2^21, it leaves the nearest whole number as the lower bits.
inline constexpr float whole_number = 0x1.8p23F;

template <> struct Codes<std::int8_t> {
  static constexpr float largest = 127;
  template <class T, class Arch> static SIMDNORM_INLINE auto of(simd::Vector<T, Arch> a) {
    return simd::words_of(a + simd::Vector<T, Arch>::broadcast(whole_number));
  }
};
template <> struct Codes<Float8E4M3> {
  static constexpr float largest = 448;
  template <class T, class Arch> static SIMDNORM_INLINE auto of(simd::Vector<T, Arch> a) {
    return simd::encoded<8, 3, 7>(a, largest, 0x7f);
  }
};
template <> struct Codes<Float8E5M2> {
  static constexpr float largest = 57344;
  template <class T, class Arch> static SIMDNORM_INLINE auto of(simd::Vector<T, Arch> a) {
    return simd::encoded<8, 2, 15>(a, largest, 0x7e);
  }
};

template <class Q, class Arch> SIMDNORM_INLINE void store_codes(simd::All, Q* p, simd::Words<Arch> codes) {
  simd::store_words(reinterpret_cast<std::uint8_t*>(p), codes);
}
template <class Q, class Arch>
SIMDNORM_NOINLINE void store_codes(simd::First lanes, Q* p, simd::Words<Arch> codes) {
  constexpr int width = simd::WordRegister<Arch>::width;
  Q buffer[static_cast<std::size_t>(width)];
  store_codes(simd::All{}, buffer, codes);
  simd::copy_first<width / 2>(p, static_cast<const Q*>(buffer), lanes.count);
}

// --- one scale for all rows ---

/// A sink: code = y/scale, for int8 + zero, saturated; of NaN the least code of int8, a NaN of fp8.
template <class Q> struct TensorQuantized {
  Strided<Q> operand;
  float scale, inverse;
  int zero;

  template <class Block, class Lanes>
  SIMDNORM_INLINE void store(const Block& block, At<Lanes> at, typename Block::Vector values) const {
    using V = typename Block::Vector;
    const V scaled = values * V::broadcast(inverse);
    if constexpr (std::is_same_v<Q, std::int8_t>) {
      const V least = V::broadcast(static_cast<float>(-128 - zero)),
              most = V::broadcast(static_cast<float>(127 - zero));
      const V saturated = simd::smaller(simd::where_less(least, scaled, scaled, least), most);
      const auto whole =
          simd::Words<typename Block::Architecture>::broadcast(static_cast<std::uint32_t>(zero));
      store_codes(at.lanes, block.address(operand, at), Codes<Q>::of(saturated) + whole);
    } else {
      store_codes(at.lanes, block.address(operand, at), Codes<Q>::of(scaled));
    }
  }
};

// --- one scale a row, which the largest |y| of the row gives ---

/// The rows' codes, before it is known which scale each has.
template <class Q> struct RowQuantized {
  Strided<Q> operand;
  float* scales;  // (rows)
};

template <int Count> SIMDNORM_INLINE std::uint32_t largest_of(const std::uint32_t* words) {
  if constexpr (Count == 1) {
    return words[0];
  } else {
    return std::max(largest_of<Count / 2>(words), largest_of<Count / 2>(words + Count / 2));
  }
}

/// A sink that stores nothing but, at the end, the bits of each row's largest |y|; of a row with NaN, those of a NaN.
struct LargestMagnitude {
  std::uint32_t* of_rows;

  template <class Rows> struct Begun {
    using Arch = typename Rows::Architecture;
    static constexpr int vectors = Rows::across ? Rows::capacity / Rows::width : Rows::capacity;
    std::uint32_t* of_rows;
    simd::Words<Arch> largest[static_cast<std::size_t>(vectors)];

    template <class Lanes>
    SIMDNORM_INLINE void store(const Rows&, At<Lanes> at, typename Rows::Vector values) {
      auto& magnitude = largest[Rows::across ? at.row / Rows::width : at.row];
      const auto bits =
          simd::words_of(simd::keep(at.lanes, values)) & simd::Words<Arch>::broadcast(0x7fffffff);
      magnitude = larger(magnitude, bits);
    }
    SIMDNORM_INLINE void end(const Rows&) const {
      for (int v = 0; v < vectors; ++v) {
        std::uint32_t elements[static_cast<std::size_t>(Rows::width)];
        simd::WordRegister<Arch>::store(elements, largest[v].value);
        if constexpr (Rows::across) {
          std::copy(elements, elements + Rows::width, of_rows + v * Rows::width);
        } else {
          of_rows[v] = largest_of<Rows::width>(elements);
        }
      }
    }
  };
  template <class Rows> SIMDNORM_INLINE Begun<Rows> begin(const Rows&) const {
    Begun<Rows> begun{of_rows, {}};
    for (auto& magnitude : begun.largest) magnitude = simd::Words<typename Rows::Architecture>::broadcast(0);
    return begun;
  }
};

/// The sink of rows whose scales are known.
template <class Q, class RowValues> struct ScaledCodes {
  Strided<Q> operand;
  RowValues inverse;

  template <class Rows, class Lanes>
  SIMDNORM_INLINE void store(const Rows& rows, At<Lanes> at, typename Rows::Vector values) const {
    store_codes(at.lanes, rows.address(operand, at), Codes<Q>::of(values * inverse(at)));
  }
};

/// The scale of a row, and 1/scale. A row with a NaN or an infinity has scale NaN; of any other it is a normal number, also
/// of zeros.
struct RowScale {
  float scale, inverse;
};
template <class Q> RowScale row_scale(std::uint32_t largest_bits) {
  float largest = 0;
  std::memcpy(&largest, &largest_bits, sizeof largest);
  if (!(largest <= std::numeric_limits<float>::max())) return {std::numeric_limits<float>::quiet_NaN(), 0};
  const float scale = std::max(largest / Codes<Q>::largest, std::numeric_limits<float>::min());
  return {scale, 1 / scale};
}

/// A writer: looks for the largest |y| of each row first, and computes y again when the scales are known.
struct QuantizingWriter {
  static constexpr int rows_at_once = 2;
  static constexpr bool shares_rows = false, pairs_blocks = false;

  template <class Rows, class Q, class Map>
  SIMDNORM_INLINE void write(const Rows& rows, Columns columns, const RowQuantized<Q>& sink,
                             const Map& map) const {
    const auto plain = [](const auto& source) -> const auto& { return source; };
    std::uint32_t largest[static_cast<std::size_t>(Rows::capacity)];
    map(columns, LargestMagnitude{largest}, plain);
    RowScale scales[static_cast<std::size_t>(Rows::capacity)] = {};
    for (int r = 0; r < rows.count(); ++r) {
      scales[r] = row_scale<Q>(largest[r]);
      sink.scales[rows.first_row + r] = scales[r].scale;
    }
    const auto inverse = rows.row_values(scales, &RowScale::inverse);
    map(columns, ScaledCodes<Q, typename Rows::RowValues>{sink.operand, inverse}, plain);
    for (int r = 0; r < rows.count(); ++r) {
      if (SIMDNORM_UNLIKELY(scales[r].scale != scales[r].scale))
        clear(rows.row(r), columns.end, sink.operand);
    }
  }
  static void end() {}
  const QuantizingWriter& rarely() const { return *this; }

 private:
  /// A row without a scale has codes of 0.
  template <class Row, class Q>
  static SIMDNORM_COLD void clear(const Row& row, Index hidden, const Strided<Q>& operand) {
    for (Index c = 0; c < hidden; ++c) *row.address(operand, At<simd::All>{{}, c, 0}) = Q{};
  }
};

/// Of rows that are read a third time as many as the second-level cache keeps: 8 of up to 4096 floats.
template <> inline constexpr Index kept_from_measuring<QuantizingWriter> = Index{1} << 17;

// --- rows quantized by themselves ---

/// Some columns of some rows, as they are, to a sink.
template <class Rows, class Range, class Source, class Sink>
SIMDNORM_KERNEL void copy(Rows rows, Range columns, const Source& source, const Sink& sink_of_rows) {
  auto sink = begun(sink_of_rows, rows);
  rows.visit(
      columns, [](auto) { return 0; },
      [&](auto at, int) SIMDNORM_BODY { sink.store(rows, at, source.load(rows, at)); }, [](auto, int) {});
  ended(sink, rows);
}
template <class Y, class Codes, class Executor>
void quantize_rows(RowShape shape, const Strided<const Y>& y, const Codes& codes, Executor&& executor) {
  if (shape.rows == 0) return;
  const auto run = [&](auto type_of_blocks) {
    using Blocks = typename decltype(type_of_blocks)::type;
    const Blocks blocks(shape);
    const Index per_task = blocks.per_task();
    with_sink<1, Blocks>(shape, operands_of(y), codes, [&](const auto& sink, const auto& writer) {
      executor((blocks.count() + per_task - 1) / per_task, per_task * blocks.elements(), [&](Index task) {
        blocks.each(task * per_task, (task + 1) * per_task, [&](const auto& block) {
          block.template mapped<std::decay_t<decltype(writer)>::rows_at_once>([&](const auto& rows, int) {
            writer.write(rows, Columns{0, shape.hidden}, sink,
                         [&](auto columns, const auto& part, const auto& read) {
                           copy(rows, columns, read(LoadedRows<Y>{y}), part);
                         });
          });
        });
        writer.end();
      });
    });
  };
  with_blocks<float>(shape, operands_of(y), operands_of(codes), run);
}

// --- as arguments ---

/// y as codes, a pointer or Strided to std::int8_t, Float8E4M3 or Float8E5M2, with a scale for each row, which is written to
/// scales (rows).
template <class Y> struct PerToken {
  Y y;
  float* scales;
};
template <class Y, class = element_t<Y>> PerToken<Y> per_token(Y y, float* scales) { return {y, scales}; }

/// y as such codes with one scale for all rows; for int8 also a zero point.
template <class Y> struct PerTensor {
  Y y;
  float scale;
  int zero_point;
};
template <class Y, class = element_t<Y>> PerTensor<Y> per_tensor(Y y, float scale, int zero_point = 0) {
  return {y, scale, zero_point};
}

template <class Y> struct ElementOf<PerToken<Y>> { using type = void; };
template <class Y> struct ElementOf<PerTensor<Y>> { using type = void; };
template <class Y> inline constexpr bool has_codes<PerToken<Y>> = true;
template <class Y> inline constexpr bool has_codes<PerTensor<Y>> = true;

template <class Q> constexpr void expect_codes() {
  static_assert(
      std::is_same_v<Q, std::int8_t> || std::is_same_v<Q, Float8E4M3> || std::is_same_v<Q, Float8E5M2>,
      "simdnorm: codes hold std::int8_t, Float8E4M3 or Float8E5M2");
}
template <class Y> RowQuantized<element_t<Y>> written_rows(RowShape shape, const PerToken<Y>& output) {
  expect_codes<element_t<Y>>();
  return {written_rows(shape, output.y), output.scales};
}
template <class Y> TensorQuantized<element_t<Y>> written_rows(RowShape shape, const PerTensor<Y>& output) {
  expect_codes<element_t<Y>>();
  return {written_rows(shape, output.y), output.scale, 1 / output.scale, output.zero_point};
}

template <class Q> auto operands_of(const RowQuantized<Q>& y) { return std::tuple(y.operand); }
template <class Q> auto operands_of(const TensorQuantized<Q>& y) { return std::tuple(y.operand); }
template <int Rows, class Blocks, class Read, class Q, class Run>
void with_sink(RowShape, const Read& /*read*/, const RowQuantized<Q>& y, const Run& run) {
  run(y, QuantizingWriter{});
}
template <int Rows, class Blocks, class Read, class Q, class Run>
void with_sink(RowShape, const Read& /*read*/, const TensorQuantized<Q>& y, const Run& run) {
  run(y, DirectWriter{});
}

template <class Q, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const RowQuantized<Q>& y, const Then& then) {
  const Index rows = check.shape().rows;
  const Touched<Use::writes_rows> codes{check.written_rows(name, y.operand)};
  if (y.scales == nullptr && rows > 0) check.stop(check.message() << "scales is nullptr");
  then(codes, Touched<Use::writes>{Check::array("scales", y.scales, rows)});
}
template <class Q, class Then>
SIMDNORM_INLINE void touch(const Check& check, const char* name, const TensorQuantized<Q>& y,
                           const Then& then) {
  const bool has_zero = std::is_same_v<Q, std::int8_t>;
  if (!(y.scale >= 0x1p-126F && y.scale <= 0x1p126F))
    check.stop(check.message() << "scale must be between 2^-126 and 2^126 but is "
                               << static_cast<double>(y.scale));
  if (has_zero ? !(y.zero >= -128 && y.zero <= 127) : y.zero != 0)
    check.stop(check.message() << "zero_point must be " << (has_zero ? "from -128 to 127" : "0") << " but is "
                               << Index{y.zero});
  then(Touched<Use::writes_rows>{check.written_rows(name, y.operand)});
}

}  // namespace simdnorm
