#include "decoder.hpp"

namespace gpt {

static Vector<float> row(const Matrix<float>& matrix, Index r) { return matrix.row(r).transpose(); }

template <class F> void Decoder::each_row(const Eigen::ThreadPoolDevice& device, const F& f) const {
  const double products = 10 * static_cast<double>(shape_.width * shape_.width);
  device.parallelFor(branch_.rows(), Eigen::TensorOpCost(0, 0, products), [&](Index first, Index last) {
    for (Index r = first; r < last; ++r) f(r);
  });
}
Vector<float> Decoder::attend(Index r, const Matrix<float>& keys, const Matrix<float>& values) const {
  const Index head = shape_.width / shape_.heads, first = place(r) - position(r), seen = position(r) + 1;
  const float score_scale = float(1 / std::sqrt(static_cast<double>(head)));
  Vector<float> mixed(shape_.width);
  for (Index column = 0; column < shape_.width; column += head) {
    const Vector<float> query = queries_.row(r).segment(column, head).transpose() * score_scale;
    Vector<float> scores = keys.block(first, column, seen, head) * query;
    scores = (scores.array() - scores.maxCoeff()).exp();
    scores /= scores.sum();
    const Vector<float> of_head = values.block(first, column, seen, head).transpose() * scores;
    mixed.segment(column, head) = of_head;
  }
  return mixed;
}

const Matrix<float>& Decoder::read(const Weights<float>& weights, const std::vector<int>& tokens,
                                   const Eigen::ThreadPoolDevice& device) {
  const Index rows = static_cast<Index>(tokens.size());
  count_ = rows / sequences_;
  branch_.resize(rows, shape_.width);
  logits_.resize(rows, shape_.vocabulary);
  for (Index r = 0; r < rows; ++r)
    branch_.row(r) =
        weights.tokens.row(tokens[static_cast<std::size_t>(r)]) + weights.positions.row(length_ + r % count_);
  stream_.begin(branch_, {Mode::inference, &device});
  for (std::size_t l = 0; l < weights.layers.size(); ++l) {
    const auto& layer = weights.layers[l];
    const Index i = 2 * static_cast<Index>(l);
    const Matrix<float>& attention_input = stream_.read(weights, i);
    queries_.resize(rows, shape_.width);
    each_row(device, [&](Index r) {
      const Vector<float> qkv = layer.qkv.of_row(row(attention_input, r));
      queries_.row(r) = qkv.head(shape_.width).transpose();
      keys_[l].row(place(r)) = qkv.segment(shape_.width, shape_.width).transpose();
      values_[l].row(place(r)) = qkv.tail(shape_.width).transpose();
    });
    each_row(device, [&](Index r) {
      branch_.row(r) = layer.out.of_row(attend(r, keys_[l], values_[l])).transpose();
    });
    stream_.join(weights, i, branch_);
    const Matrix<float>& mlp_input = stream_.read(weights, i + 1);
    each_row(device, [&](Index r) {
      const Matrix<float> up = layer.up.of_row(row(mlp_input, r)).transpose();
      Matrix<float> active(1, up.cols());
      gelu<float>(up, active);
      branch_.row(r) = layer.down.of_row(row(active, 0)).transpose();
    });
    stream_.join(weights, i + 1, branch_);
  }
  const Matrix<float>& output = stream_.read(weights, shape_.sublayers());
  each_row(device,
           [&](Index r) { logits_.row(r) = Vector<float>(weights.tokens * row(output, r)).transpose(); });
  length_ += count_;
  return logits_;
}

}  // namespace gpt
