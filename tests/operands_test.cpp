// What a call computes in, by the types of its operands. (That wrong types are refused with a sentence: package/wrong_type.cpp.)
#include <simdnorm/operands.hpp>

#include <gtest/gtest.h>

namespace {

using namespace simdnorm;
using std::is_same_v;
using None = std::nullptr_t;

template <class... X> constexpr bool in_float = is_same_v<operands_t<X...>, float>;
template <class... X> constexpr bool in_double = is_same_v<operands_t<X...>, double>;

TEST(Operands, ArePointersOrStrided) {
  float data[24];
  const RowShape shape{4, 6};
  const Strided<float> mine{data, 7, 1};
  EXPECT_EQ(read_rows(shape, data).outer, 6);
  EXPECT_EQ(read_rows(shape, mine).outer, 7);
  EXPECT_EQ(written_rows(shape, data).column, 1);
  EXPECT_EQ(written_rows(shape, mine).outer, 7);
  static_assert(is_same_v<decltype(read_rows(shape, mine)), Strided<const float>>);
  static_assert(is_same_v<element_t<const double*>, double>);
  static_assert(is_same_v<element_t<Strided<const float>>, float>);
  static_assert(std::is_void_v<element_t<std::nullptr_t>>);
  static_assert(is_same_v<element_or_t<std::nullptr_t, double>, double>);
  static_assert(is_same_v<element_or_t<BFloat16*, double>, BFloat16>);
  static_assert(is_same_v<compute_t<BFloat16, float, void>, float>);
  static_assert(is_same_v<compute_t<Float16, double>, double>);
}

TEST(Operands, AreComputedInDoubleWhereOneIsDoubleAndElseInFloat) {
  static_assert(in_float<float*> && in_double<double*>);
  static_assert(in_float<BFloat16*> && in_float<Float16*> && in_float<const BFloat16*, Float16*, float*>);
  static_assert(in_double<BFloat16*, double*> && in_double<const double*, Float16*> &&
                in_double<float*, float*, const double*>);
  static_assert(in_float<BFloat16*, None, None, Float16*> && in_double<None, Strided<const double>>);
  static_assert(in_float<Strided<const BFloat16>, Strided<Float16>>);
}

TEST(Operands, MayHoldWhateverHasAStorage) {
  static_assert(is_operand<BFloat16*> && is_operand<Strided<const Float16>> && is_operand<None> &&
                is_operand<const double*>);
  static_assert(!is_operand<int*> && !is_operand<std::uint16_t*> && !is_operand<Float8E4M3*>);
}

TEST(Operands, GradientsOfParametersHaveOneTypeWhateverElseHolds) {
  static_assert(is_same_v<gradient_t<float*, float*, double>, float>);
  static_assert(is_same_v<gradient_t<double*, None, float>, double>);
  static_assert(is_same_v<gradient_t<None, double*, float>, double>);
  static_assert(is_same_v<gradient_t<None, None, double>, double> &&
                is_same_v<gradient_t<None, None, float>, float>);
}

}  // namespace
