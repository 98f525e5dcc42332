// What the tests of chosen rows of Eigen tables share.
#pragma once

#include <simdnorm/simdnorm.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace chosen {

using simdnorm::gathered;
using simdnorm::Index;
using simdnorm::Moments;

template <class U> using Rows = Eigen::Matrix<U, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class A, class B> bool same(const A& a, const B& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(*a.data())) == 0;
}
template <class U, class Numbers> Rows<U> rows_of(const Rows<U>& table, const Numbers& numbers, Index count) {
  Rows<U> rows(count, table.cols());
  for (Index r = 0; r < count; ++r) rows.row(r) = table.row(static_cast<Index>(numbers[r]));
  return rows;
}

}  // namespace chosen
