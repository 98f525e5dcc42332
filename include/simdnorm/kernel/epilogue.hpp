// What maps the normalized value on: scale and shift.
#pragma once

#include "row.hpp"

namespace simdnorm {

/// An epilogue has at(block, column): an object that holds what it needs at that column, loaded once for all
/// rows of the block, and maps xhat to the output. xhat is a Vector or an Unrounded<Vector> (row.hpp); a map that
/// is more than a scale or a shift takes rounded(xhat).
///
/// xhat * gamma   gamma: (hidden) or absent
template <class T> struct Scale {
  Parameter<T> gamma;
  explicit Scale(const T* values) : gamma(parameter_or<T>(values, ones<T>)) {}

  template <class Vector> struct AtColumn {
    Vector gamma;
    template <class Value> SIMDNORM_INLINE Value operator()(const Value& xhat) const { return xhat * gamma; }
  };
  template <class Block, class Lanes>
  SIMDNORM_INLINE AtColumn<typename Block::Vector> at(const Block& block, At<Lanes> column) const {
    return {block.parameter(gamma, column)};
  }
};

/// xhat + beta   beta: (hidden) or absent
template <class T> struct Shift {
  Parameter<T> beta;
  explicit Shift(const T* values) : beta(parameter_or<T>(values, zeros<T>)) {}

  template <class Vector> struct AtColumn {
    Vector beta;
    template <class Value> SIMDNORM_INLINE Value operator()(const Value& xhat) const { return xhat + beta; }
  };
  template <class Block, class Lanes>
  SIMDNORM_INLINE AtColumn<typename Block::Vector> at(const Block& block, At<Lanes> column) const {
    return {block.parameter(beta, column)};
  }
};

/// One epilogue after another: second(first(xhat)).
template <class FirstEpilogue, class SecondEpilogue> struct Chain {
  FirstEpilogue first;
  SecondEpilogue second;

  template <class FirstAt, class SecondAt> struct AtColumn {
    FirstAt first;
    SecondAt second;
    template <class Value> SIMDNORM_INLINE auto operator()(const Value& xhat) const {
      return second(first(xhat));
    }
  };
  template <class Block, class Lanes> SIMDNORM_INLINE auto at(const Block& block, At<Lanes> column) const {
    return AtColumn<decltype(first.at(block, column)), decltype(second.at(block, column))>{
        first.at(block, column), second.at(block, column)};
  }
};
template <class FirstEpilogue, class SecondEpilogue>
Chain(FirstEpilogue, SecondEpilogue) -> Chain<FirstEpilogue, SecondEpilogue>;

}  // namespace simdnorm
