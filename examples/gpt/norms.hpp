// The norms of the model, of every kind, compiled once in norms_*.cpp: what takes the longest to compile is apart from what changes
// most often.
#pragma once

#ifndef EIGEN_USE_THREADS
#define EIGEN_USE_THREADS  // declares Eigen::ThreadPoolDevice; before any include of Eigen
#endif
#include <simdnorm/eigen/moments.hpp>

#include <Eigen/Core>
#include <unsupported/Eigen/CXX11/Tensor>

#include "../layers/batch_norm.hpp"

namespace gpt {

using Index = Eigen::Index;
using Bfloat16 = Eigen::bfloat16;
template <class T> using Matrix = layers::Matrix<T>;
template <class T> using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// The first two are simdnorm's; the last three stand in ../layers.
enum class Kind { layer_norm, rms_norm, none, batch_norm, switchable_norm, dynamic_tanh };

/// Views of what one of the model's norms has learned, or of its gradients; each is empty where the kind has none, or where it is
/// not to be learned.
template <class T> struct Norm {
  using View = Eigen::Map<Vector<T>>;

  Kind kind;
  View gamma, beta;                     // (width)
  View mixture;                         // (4), of Switchable Normalization
  View alpha;                           // (1), of Dynamic Tanh
  View running_mean, running_variance;  // (width), of what has statistics of columns
};

/// What a norm read and gave, and what its backward needs. T: the type of what is learned and of all arithmetic; A: of x and y.
template <class T, class A> struct Normalized {
  Matrix<A> x, y;
  simdnorm::Moments<T> moments;  // of the rows
  layers::ColumnStatistics<T> columns;
};

/// How the statistics of columns are found: of the batch, or as they were kept. Rows are measured in both.
enum class Mode { training, inference };

/// How norms are run.
struct Run {
  Mode mode = Mode::training;
  const Eigen::ThreadPoolDevice* device = nullptr;  // nullptr: the calling thread alone
};

/// place.y = norm(place.x).
template <class T, class A> void normalize(const Norm<T>& norm, Normalized<T, A>& place, Run run);

/// place.x = branch + alpha stream, place.y = norm(place.x): of simdnorm's kinds in one pass. stream may be place.x or place.y.
template <class T, class A>
void add_and_normalize(const Norm<T>& norm, const Matrix<A>& branch, T alpha, const Matrix<A>& stream,
                       Normalized<T, A>& place, Run run);

/// sum = norm(place.x) + stream: of simdnorm's kinds in one pass. sum may be stream.
template <class T, class A>
void normalize_and_add(const Norm<T>& norm, Normalized<T, A>& place, const Matrix<A>& stream, Matrix<A>& sum,
                       Run run);

/// dx = the gradient of place.x, where dy is that of place.y; dx may be dy. Adds to what of `gradient` is not empty.
template <class T, class A>
void normalize_backward(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place,
                        Matrix<A>& dx, Norm<T>& gradient, simdnorm::Workspace<T>& workspace);

/// The same, added to what dx is: of simdnorm's kinds in one pass.
template <class T, class A>
void normalize_backward_and_add(const Norm<T>& norm, const Matrix<A>& dy, const Normalized<T, A>& place,
                                Matrix<A>& dx, Norm<T>& gradient, simdnorm::Workspace<T>& workspace);

}  // namespace gpt
