// The norms of the model, compiled once in norms.cpp: what takes the longest to compile is apart from what changes most often.
#pragma once

#ifndef EIGEN_USE_THREADS
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice; before any include of Eigen
#endif
#include <simdnorm/eigen/moments.hpp>

#include <Eigen/Core>
#include <unsupported/Eigen/CXX11/Tensor>

namespace gpt {

using Index = Eigen::Index;
template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// Views of what a norm has learned, or of its gradients: (width).
template <class T> struct Norm { Eigen::Map<Vector<T>> gamma, beta; };

/// What was normalized, and what backward needs of it.
template <class T> struct Normalized {
  Matrix<T> stream, normalized;
  simdnorm::Moments<T> moments;
};

/// place.stream = branch + stream, place.normalized = its norm, in one pass.
template <class T>
void normalize(const Norm<T>& norm, const Matrix<T>& branch, const Matrix<T>& stream, Normalized<T>& place);

/// Adds the gradient that comes through the norm to that of the stream: what it is of both the branch and the stream before.
/// Adds to gamma's and beta's.
template <class T>
void normalize_backward(const Norm<T>& norm, const Matrix<T>& d_normalized, const Normalized<T>& place,
                        Matrix<T>& d_stream, Norm<T>& gradient, simdnorm::Workspace<T>& workspace);

/// stream += branch, normalized = its norm; nothing is kept.
void normalize(const Norm<float>& norm, const Matrix<float>& branch, Matrix<float>& stream,
               Matrix<float>& normalized, const Eigen::ThreadPoolDevice& device);

}  // namespace gpt
