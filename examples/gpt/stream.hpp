// The residual stream: what attention and the MLPs ("sublayers") read of it, how their results join it, and where its norms stand.
#pragma once

#include <vector>

#include "weights.hpp"

namespace gpt {

/// Forward is begin, then read and join for each sublayer, then read once more; backward is the same from the end. Each addition is
/// taken into a norm's pass where one follows or goes before it.
template <class T, class A> class Stream {
 public:
  explicit Stream(const Shape& shape)
      : shape_(shape), places_(static_cast<std::size_t>(shape.sublayers() + 1)), branches_(places_.size()) {}

  /// embedded: (rows, width).
  void begin(const Matrix<A>& embedded, Run run) {
    run_ = run;
    branch_ = nullptr;
    (shape_.norm_at_the_end() ? place(0).x : embedded_) = embedded;
  }
  /// What sublayer i reads, for i = sublayers what the model ends with. It stays where it is until backward, in inference until the
  /// sublayer's result joins.
  const Matrix<A>& read(const Weights<T>& weights, Index i) {
    switch (shape_.placement) {
      case Placement::pre:
        if (branch_ == nullptr)
          normalize(norm(weights, i), place(i), run_);
        else
          add_and_normalize(norm(weights, i), *branch_, T(1), place(i - 1).x, place(i), run_);
        return place(i).y;
      case Placement::sandwich:
        normalize(norm(weights, i), place(i), run_);
        return place(i).y;
      default:
        return before(i);
    }
  }
  /// branch: of sublayer i, not changed until the next read.
  void join(const Weights<T>& weights, Index i, const Matrix<A>& branch) {
    switch (shape_.placement) {
      case Placement::pre:
        branch_ = &branch;
        break;  // the next norm adds it
      case Placement::sandwich:
        of_branch(i).x = branch;
        normalize_and_add(weights.branches[std::size_t(i)], of_branch(i), place(i).x, place(i + 1).x, run_);
        break;
      default: {
        const T alpha = static_cast<T>(shape_.alpha());
        add_and_normalize(norm(weights, i), branch, alpha, before(i), place(i), run_);
      }
    }
  }

  /// d: the gradient of what the model ends with.
  void begin_backward(const Matrix<A>& d) {
    d_stream_ = shape_.norm_at_the_end() ? Matrix<A>(Matrix<A>::Zero(d.rows(), d.cols())) : d;
  }
  /// The gradient of sublayer i's result, until the next call.
  const Matrix<A>& join_backward(const Weights<T>& weights, Index i, Weights<T>& gradients) {
    switch (shape_.placement) {
      case Placement::pre:
        return d_stream_;
      case Placement::sandwich:
        normalize_backward(weights.branches[std::size_t(i)], d_stream_, of_branch(i), d_branch_,
                           counted(gradients.branches[std::size_t(i)]), workspace_);
        return d_branch_;
      default:
        normalize_backward(norm(weights, i), d_stream_, place(i), d_branch_,
                           counted(gradients.norms[std::size_t(i)]), workspace_);
        d_stream_ = (static_cast<T>(shape_.alpha()) * in<T>(d_branch_)).template cast<A>();
        return d_branch_;
    }
  }
  /// d: the gradient of what sublayer i read, or the model ended with.
  void read_backward(const Weights<T>& weights, Index i, const Matrix<A>& d, Weights<T>& gradients) {
    if (shape_.norm_at_the_end())
      normalize_backward_and_add(norm(weights, i), d, place(i), d_stream_,
                                 counted(gradients.norms[std::size_t(i)]), workspace_);
    else if (i < shape_.sublayers())
      d_stream_ += d;
  }
  /// The gradient of what was embedded, once everything was gone back through.
  const Matrix<A>& end_backward() const { return d_stream_; }

  /// Of how many numbers that norms have learned a gradient was computed, in all backward passes.
  Index norm_gradients() const { return norm_gradients_; }

 private:
  const Norm<T>& norm(const Weights<T>& weights, Index i) const { return weights.norms[std::size_t(i)]; }
  /// Inference keeps nothing: there is one place for all.
  Normalized<T, A>& place(Index i) { return places_[run_.mode == Mode::training ? std::size_t(i) : 0]; }
  Normalized<T, A>& of_branch(Index i) { return branches_[run_.mode == Mode::training ? std::size_t(i) : 0]; }
  /// Post-norm: what the norm before sublayer i gave.
  const Matrix<A>& before(Index i) { return i == 0 ? embedded_ : place(i - 1).y; }
  Norm<T>& counted(Norm<T>& gradient) {
    norm_gradients_ +=
        gradient.gamma.size() + gradient.beta.size() + gradient.mixture.size() + gradient.alpha.size();
    return gradient;
  }

  Shape shape_;
  Run run_;
  std::vector<Normalized<T, A>> places_, branches_;
  Matrix<A> embedded_;                 // post-norm: what sublayer 0 reads
  const Matrix<A>* branch_ = nullptr;  // pre-norm: what is to be added
  Matrix<A> d_stream_, d_branch_;
  simdnorm::Workspace<T> workspace_;
  Index norm_gradients_ = 0;
};

}  // namespace gpt
