// Eigen objects against plain rows: which row and which column of (rows, hidden) an element belongs to is
// worked out from its coordinates, one element at a time, and the expected results come from the pointer
// layer on contiguous rows.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/accuracy.hpp"
#include "support/row_map.hpp"

namespace support {

using simdnorm::Index;

// One element of a tensor or matrix by its coordinates.
template <class X> auto& element(X& x, const std::vector<Index>& at) {
  if constexpr (std::is_base_of_v<Eigen::DenseBase<std::remove_const_t<X>>, std::remove_const_t<X>>) {
    if constexpr (X::IsVectorAtCompileTime) {
      return x.coeffRef(at[0]);
    } else {
      return x.coeffRef(at[0], at[1]);
    }
  } else {
    Eigen::array<Eigen::Index, static_cast<std::size_t>(X::NumDimensions)> where{};
    for (std::size_t d = 0; d < where.size(); ++d) where[d] = at[d];
    return x(where);
  }
}

template <class X, class T> void scatter(const RowMap& map, const std::vector<T>& rows, X& x) {
  map.each([&](const std::vector<Index>& at, std::size_t i) { element(x, at) = rows[i]; });
}
template <class X> auto gather(const RowMap& map, X& x) {
  std::vector<std::decay_t<decltype(element(x, std::vector<Index>(map.sizes.size(), 0)))>> rows(
      size(map.rows() * map.hidden()));
  map.each([&](const std::vector<Index>& at, std::size_t i) { rows[i] = element(x, at); });
  return rows;
}

template <class X> std::vector<Index> sizes_of(const X& x) {
  std::vector<Index> sizes;
  if constexpr (std::is_base_of_v<Eigen::DenseBase<X>, X>) {
    if constexpr (X::IsVectorAtCompileTime) {
      sizes = {x.size()};
    } else {
      sizes = {x.rows(), x.cols()};
    }
  } else {
    simdnorm::simd::unroll<static_cast<int>(X::NumDimensions)>([&](auto d) {
      constexpr int counted = d;  // a constant, which each Eigen type takes for an index of its own type
      sizes.push_back(x.dimension(counted));
    });
  }
  return sizes;
}

template <class X> constexpr bool row_major() {
  if constexpr (std::is_base_of_v<Eigen::DenseBase<X>, X>) {
    return bool(X::IsRowMajor);
  } else {
    return static_cast<int>(X::Layout) == static_cast<int>(Eigen::RowMajor);
  }
}

// The rows of x, and what the pointer layer makes of them.
template <class T> struct Expected {
  Problem<T> p;
  Forward<T> forward;
  Backward<T> gradients;
  oracle::ParameterGradients exact;
};
template <class T>
Expected<T> expect(Norm norm, const RowMap& map, T epsilon, Parameters parameters, std::uint64_t seed) {
  const std::vector<RowKind> kinds = {
      {Family::normal, 1, 0}, {Family::uniform, 1e3, 2}, {Family::outliers, 0, -3}};
  Expected<T> e;
  e.p = make_problem<T>(map.rows(), map.hidden(), kinds, parameters, epsilon, seed);
  e.forward = run_forward(norm, e.p);
  e.gradients = run_backward(norm, e.p, e.forward.moments);
  e.exact = oracle::parameter_gradients(norm, e.p.dy.data(), e.p.x.data(), epsilon, e.p.rows, e.p.hidden);
  return e;
}

template <class T> Eigen::Tensor<T, 1> vector_of(const std::vector<T>& values) {
  Eigen::Tensor<T, 1> out(static_cast<Eigen::Index>(values.size()));
  std::copy(values.begin(), values.end(), out.data());
  return out;
}

// dgamma or dbeta, whose order of summation is the layout's own: under its bound.
template <class T> double parameter_ratio(Gradient which, const Expected<T>& e, const T* got) {
  return parameter_error(which, e.exact, got).ratio;
}

}  // namespace support
