// matrix: norms for users of Eigen::Matrix: row-major, column-major, one token a column, blocks, maps.
#include <simdnorm/simdnorm.hpp>

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace {

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int failures = 0;

void check(bool holds, const char* property) {
  std::printf("%s  %s\n", holds ? "ok  " : "FAIL", property);
  if (!holds) ++failures;
}

}  // namespace

int main() {
  constexpr Eigen::Index tokens = 10, hidden = 192;
  const RowMajorMatrix x = RowMajorMatrix::Random(tokens, hidden),
                       dy = RowMajorMatrix::Random(tokens, hidden);
  const Eigen::VectorXf gamma = Eigen::VectorXf::Random(hidden), beta = Eigen::VectorXf::Random(hidden);
  const simdnorm::LayerNorm<float> norm(gamma, beta, 1e-5f);
  simdnorm::Moments<float> moments;

  // Row-major, one token a row: the layout that most models use.
  RowMajorMatrix y(tokens, hidden), dx(tokens, hidden);
  Eigen::VectorXf dgamma(hidden), dbeta(hidden);
  norm.forward(x, y, moments);
  norm.backward(dy, x, moments, dx, dgamma, dbeta);
  check(dx.rowwise().sum().cwiseAbs().maxCoeff() < 1e-3f, "row-major: each row of dx sums to zero");
  check((dy.colwise().sum().transpose() - dbeta).cwiseAbs().maxCoeff() < 1e-4f,
        "row-major: dbeta is the sum of dy over the tokens");

  // Column-major (Eigen's default), still one token a row: the same call. The last dimension is normalized in
  // both storage orders; here it does not lie contiguous and is read where it is, without a copy.
  const Eigen::MatrixXf x_column_major = x, dy_column_major = dy;
  Eigen::MatrixXf y_column_major(tokens, hidden), dx_column_major(tokens, hidden);
  norm.forward(x_column_major, y_column_major, moments);
  norm.backward(dy_column_major, x_column_major, moments, dx_column_major);  // gamma and beta frozen
  check(y_column_major == y && dx_column_major == dx, "column-major: y and dx have the same bits");

  // Column-major, one token a column: the first dimension is normalized, and it lies contiguous.
  const simdnorm::LayerNorm<float> norm_columns(gamma, beta, 1e-5f, simdnorm::axis(0));
  const Eigen::MatrixXf x_transposed = x.transpose();  // (hidden, tokens)
  Eigen::MatrixXf y_transposed(hidden, tokens);
  norm_columns.forward(x_transposed, y_transposed);
  check(y_transposed.transpose() == y, "one token a column: y has the same bits");

  // A block of a wider matrix, in place.
  RowMajorMatrix wide = RowMajorMatrix::Zero(tokens, 3 * hidden);
  auto middle = wide.middleCols(hidden, hidden);
  middle = x;
  norm.forward(middle, middle);
  check(middle == y, "a block, in place: y has the same bits");
  check(wide.leftCols(hidden).isZero(0) && wide.rightCols(hidden).isZero(0),
        "what lies beside it is untouched");

  // Memory that somebody else owns.
  std::vector<float> memory(std::size_t(tokens * hidden));
  Eigen::Map<RowMajorMatrix> y_map(memory.data(), tokens, hidden);
  norm.forward(x, y_map);
  check(y_map == y, "a map: y has the same bits");

  // One token is a vector.
  Eigen::VectorXf token = x.row(3);
  norm.forward(token, token);
  check(token.transpose() == y.row(3), "a vector: y has the same bits");

  // Wrong sizes are refused before anything is written, with both shapes in the message.
  RowMajorMatrix narrow = RowMajorMatrix::Constant(tokens, hidden - 1, 7.f);
  bool refused = false;
  try {
    norm.forward(x, narrow);
  } catch (const std::invalid_argument& error) {
    std::printf("      %s\n", error.what());
    refused = true;
  }
  check(refused && (narrow.array() == 7.f).all(), "a wrong size is refused, nothing written");

  return failures == 0 ? 0 : 1;
}
