#include "norms.hpp"

#include <simdnorm/simdnorm.hpp>

namespace gpt {

template <class T>
void normalize(const Norm<T>& norm, const Matrix<T>& branch, const Matrix<T>& stream, Normalized<T>& place) {
  place.stream.resize(stream.rows(), stream.cols());
  place.normalized.resize(stream.rows(), stream.cols());
  simdnorm::LayerNorm<T>(norm.gamma, norm.beta)
      .forward(simdnorm::residual_sum(branch, stream, place.stream), place.normalized, place.moments);
}

template <class T>
void normalize_backward(const Norm<T>& norm, const Matrix<T>& d_normalized, const Normalized<T>& place,
                        Matrix<T>& d_stream, Norm<T>& gradient, simdnorm::Workspace<T>& workspace) {
  simdnorm::LayerNorm<T>(norm.gamma, norm.beta)
      .backward(d_normalized, place.stream, place.moments, simdnorm::added(d_stream, d_stream),
                gradient.gamma, gradient.beta, simdnorm::accumulate, workspace);
}

void normalize(const Norm<float>& norm, const Matrix<float>& branch, Matrix<float>& stream,
               Matrix<float>& normalized, const Eigen::ThreadPoolDevice& device) {
  normalized.resize(stream.rows(), stream.cols());
  simdnorm::LayerNorm<float>(norm.gamma, norm.beta)
      .forward(simdnorm::residual_sum(branch, stream, stream), normalized, device);
}

template void normalize(const Norm<float>&, const Matrix<float>&, const Matrix<float>&, Normalized<float>&);
template void normalize(const Norm<double>&, const Matrix<double>&, const Matrix<double>&,
                        Normalized<double>&);
template void normalize_backward(const Norm<float>&, const Matrix<float>&, const Normalized<float>&,
                                 Matrix<float>&, Norm<float>&, simdnorm::Workspace<float>&);
template void normalize_backward(const Norm<double>&, const Matrix<double>&, const Normalized<double>&,
                                 Matrix<double>&, Norm<double>&, simdnorm::Workspace<double>&);

}  // namespace gpt
