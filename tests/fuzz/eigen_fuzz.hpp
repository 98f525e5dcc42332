// Fuzzes a functor over Eigen objects: tensors of rank 1 to 4 in both storage orders, matrices with
// strides, blocks, vectors; any axes; wrong shapes. Each norm and type is compiled by itself (eigen_*.cpp),
// so that none takes long.
//
// What is expected comes from the pointer layer on contiguous rows, which the oracle judges. It must lie,
// bit for bit, where the coordinates of each element say, and every other byte must be as it was. A call is
// right or wrong by rules that are written down here once more; a wrong one must be refused with nothing
// written.
#pragma once

#include <simdnorm/simdnorm.hpp>

#include "fuzz/judge.hpp"
#include "fuzz/memory.hpp"
#include "support/row_map.hpp"

namespace fuzz {

using simdnorm::Axes;
using simdnorm::Moments;
using support::RowMap;

// --- objects: how an Eigen type views memory; steps are elements between neighbours of each dimension ---

struct View {
  std::vector<Index> sizes, steps;  // in the order the user counts dimensions
  Index extent() const {
    Index last = 0;
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      if (sizes[d] == 0) return 0;
      last += (sizes[d] - 1) * steps[d];
    }
    return last + 1;
  }
  bool has_gaps(bool row_major) const {
    Index next = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::size_t d = row_major ? sizes.size() - 1 - i : i;
      if (sizes[d] != 1 && steps[d] != next) return true;
      next *= sizes[d];
    }
    return false;
  }
  std::string in_words() const {
    std::string words = "(";
    for (std::size_t d = 0; d < sizes.size(); ++d)
      words += (d == 0 ? "" : ", ") + std::to_string(sizes[d]) + " by " + std::to_string(steps[d]);
    return words + ")";
  }
};
inline void pack(View& view, bool row_major) {
  view.steps.assign(view.sizes.size(), 1);
  Index next = 1;
  for (std::size_t i = 0; i < view.sizes.size(); ++i) {
    const std::size_t d = row_major ? view.sizes.size() - 1 - i : i;
    view.steps[d] = next;
    next *= view.sizes[d];
  }
}

template <class T, int Rank, int Order> struct TensorObject {
  static constexpr int rank = Rank;
  static constexpr bool row_major = Order == Eigen::RowMajor;
  // Inside an expression, which takes long to compile.
  static constexpr bool in_expressions = (Rank == 3) == row_major && (Rank == 2 || Rank == 3);
  static void stretch(Input&, View&) {}
  static auto object(T* data, const View& view) {
    Eigen::array<Eigen::Index, Rank> sizes{};
    std::copy(view.sizes.begin(), view.sizes.end(), sizes.begin());
    return Eigen::TensorMap<Eigen::Tensor<T, Rank, Order>>(data, sizes);
  }
};
template <class T, int Order> struct MatrixObject {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Order>;
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  static constexpr int rank = 2;
  static constexpr bool row_major = Order == Eigen::RowMajor;
  static constexpr bool in_expressions = false;
  static void stretch(Input& input, View& view) {
    const std::size_t inner = row_major ? 1 : 0;
    view.steps[inner] = input.between(0, 3) == 0 ? input.between(1, 3) : 1;
    view.steps[1 - inner] = view.sizes[inner] * view.steps[inner] + (input.coin() ? input.between(0, 9) : 0);
  }
  static auto object(T* data, const View& view) {
    const std::size_t inner = row_major ? 1 : 0;
    return Eigen::Map<Matrix, 0, Strides>(data, view.sizes[0], view.sizes[1],
                                          Strides(view.steps[1 - inner], view.steps[inner]));
  }
};
template <class T> struct BlockObject {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  static constexpr int rank = 2;
  static constexpr bool row_major = true, in_expressions = false;
  static void stretch(Input& input, View& view) { view.steps[0] = view.sizes[1] + input.between(0, 9); }
  static auto object(T* data, const View& view) {
    return Eigen::Map<Matrix>(data, view.sizes[0], view.steps[0]).leftCols(view.sizes[1]);
  }
};
template <class T> struct VectorObject {
  static constexpr int rank = 1;
  static constexpr bool row_major = false, in_expressions = false;
  static void stretch(Input& input, View& view) { view.steps[0] = input.between(1, 3); }
  static auto object(T* data, const View& view) {
    return Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>, 0, Eigen::InnerStride<>>(
        data, view.sizes[0], Eigen::InnerStride<>(view.steps[0]));
  }
};

// --- the functors ---

template <class Functor> struct NormOf;
template <class T> struct NormOf<simdnorm::LayerNorm<T>> {
  using Scalar = T;
  using Functor = simdnorm::LayerNorm<T>;
  static constexpr Norm norm = Norm::layer;
  template <class V> static Functor make(const V* gamma, const V* beta, T epsilon, Axes axes) {
    if (gamma && beta) return {*gamma, *beta, epsilon, axes};
    if (gamma) return {*gamma, nullptr, epsilon, axes};
    if (beta) return {nullptr, *beta, epsilon, axes};
    return {nullptr, nullptr, epsilon, axes};
  }
  static void forward(simdnorm::RowShape shape, const T* x, const T* gamma, const T* beta, T epsilon, T* y,
                      simdnorm::RowMoments<T>* moments) {
    simdnorm::layer_norm_forward(shape, x, gamma, beta, epsilon, y, moments);
  }
  template <class D, class X, class G, class... Last>
  static void backward(const Functor& f, const D& dy, const X& x, const Moments<T>& moments, D& dx, G* dgamma,
                       G* dbeta, Last&&... last) {
    if (dgamma && dbeta) return f.backward(dy, x, moments, dx, *dgamma, *dbeta, last...);
    if (dgamma) return f.backward(dy, x, moments, dx, *dgamma, nullptr, last...);
    if (dbeta) return f.backward(dy, x, moments, dx, nullptr, *dbeta, last...);
    f.backward(dy, x, moments, dx, last...);
  }
};
template <class T> struct NormOf<simdnorm::RMSNorm<T>> {
  using Scalar = T;
  using Functor = simdnorm::RMSNorm<T>;
  static constexpr Norm norm = Norm::rms;
  template <class V> static Functor make(const V* gamma, const V*, T epsilon, Axes axes) {
    if (gamma) return Functor(*gamma, epsilon, axes);
    return Functor(nullptr, epsilon, axes);
  }
  static void forward(simdnorm::RowShape shape, const T* x, const T* gamma, const T*, T epsilon, T* y,
                      simdnorm::RowMoments<T>* moments) {
    simdnorm::rms_norm_forward(shape, x, gamma, epsilon, y, moments);
  }
  template <class D, class X, class G, class... Last>
  static void backward(const Functor& f, const D& dy, const X& x, const Moments<T>& moments, D& dx, G* dgamma,
                       G*, Last&&... last) {
    if (dgamma) return f.backward(dy, x, moments, dx, *dgamma, last...);
    f.backward(dy, x, moments, dx, last...);
  }
};

// --- a run ---

template <class Functor> class EigenRun {
  using Traits = NormOf<Functor>;
  using T = typename Traits::Scalar;
  using Vector = decltype(VectorObject<T>::object(nullptr, View{}));
  static constexpr bool layer = Traits::norm == Norm::layer;

  // Rows in memory of their own, and as an Eigen object sees them.
  struct Object {
    std::vector<T> memory;
    View view;
    Index offset = 0;
    T* data() { return memory.data() + offset; }
  };

 public:
  explicit EigenRun(Input& input) : input_(input) {}

  void operator()() {
    switch (input_.between(0, 9)) {
      case 0:
        return run<TensorObject<T, 1, Eigen::RowMajor>>();
      case 1:
        return run<TensorObject<T, 2, Eigen::RowMajor>>();
      case 2:
        return run<TensorObject<T, 2, Eigen::ColMajor>>();
      case 3:
        return run<TensorObject<T, 3, Eigen::RowMajor>>();
      case 4:
        return run<TensorObject<T, 3, Eigen::ColMajor>>();
      case 5:
        return run<TensorObject<T, 4, Eigen::RowMajor>>();
      case 6:
        return run<MatrixObject<T, Eigen::RowMajor>>();
      case 7:
        return run<MatrixObject<T, Eigen::ColMajor>>();
      case 8:
        return run<BlockObject<T>>();
      default:
        return run<VectorObject<T>>();
    }
  }

 private:
  template <class Kind> void run() {
    // The shape and the axes. Axes that do not exist leave the rows as those of the last.
    View view;
    Index room = 6000;
    for (int d = 0; d < Kind::rank; ++d) {
      view.sizes.push_back(std::min(room, input_.size(0, 700)));
      room /= std::max<Index>(1, view.sizes.back());
    }
    const Index rank = Kind::rank;
    const Index first =
        input_.between(0, 7) == 0 ? input_.between(-rank - 2, rank + 1) : input_.between(-rank, rank - 1);
    const Index from_begin = first < 0 ? first + rank : first;
    const Index count = input_.between(0, 7) == 0 ? input_.between(-1, rank + 1)
                                                  : input_.between(1, std::max<Index>(1, rank - from_begin));
    const Axes axes{static_cast<int>(first), static_cast<int>(count)};
    const bool axes_exist = count >= 1 && from_begin >= 0 && from_begin + count <= rank;
    map_ = {view.sizes, Kind::row_major,
            axes_exist ? static_cast<int>(from_begin) : static_cast<int>(rank) - 1,
            axes_exist ? static_cast<int>(count) : 1};
    p_.rows = map_.rows();
    p_.hidden = map_.hidden();
    p_.epsilon = input_.epsilon<T>();
    bool right = axes_exist && p_.hidden >= 1 && p_.epsilon >= T(0);

    Object x = object<Kind>(view), y = object<Kind>(view), dy = object<Kind>(view), dx = object<Kind>(view);
    p_.x = input_.rows<T>(p_.rows, p_.hidden);
    p_.dy = input_.rows<T>(p_.rows, p_.hidden);
    if (input_.coin()) p_.gamma = input_.rows<T>(1, p_.hidden);
    if (layer && input_.coin()) p_.beta = input_.rows<T>(1, p_.hidden);
    place(x, p_.x);
    place(dy, p_.dy);
    Object gamma = vector(p_.gamma), beta = vector(p_.beta);
    // One operand is sometimes of another shape.
    const Index odd = input_.between(0, 15);
    Object* const objects[] = {&y, &dy, &dx};
    if (odd < 3) {
      Object& other = *objects[size(odd)];
      View wrong = view;
      wrong.sizes[size(input_.between(0, rank - 1))] += 1;
      other = object<Kind>(wrong);
    }
    // gamma or beta too: by one element, or with gaps.
    const bool spoils_gamma = odd == 3 && !p_.gamma.empty(), spoils_beta = odd == 4 && !p_.beta.empty();
    if (spoils_gamma) spoil(gamma);
    if (spoils_beta) spoil(beta);
    right = right && fits<Kind>(x) && !spoils_gamma && !spoils_beta;

    call_in_words = std::string(oracle::name(Traits::norm)) + (sizeof(T) == 4 ? "<float> " : "<double> ") +
                    (Kind::row_major ? "row-major " : "column-major ") + "axes [" + std::to_string(first) +
                    ", " + std::to_string(first + count) + ") epsilon " +
                    std::to_string(static_cast<double>(p_.epsilon)) + (p_.gamma.empty() ? "" : " gamma") +
                    (p_.beta.empty() ? "" : " beta") + " x " + x.view.in_words() + " y " + y.view.in_words() +
                    " dy " + dy.view.in_words() + " dx " + dx.view.in_words() + " odd " + std::to_string(odd);
    if (right) {
      flat_.y.assign(p_.x.size(), T(0));
      flat_.moments.assign(size(p_.rows), {});
      Traits::forward(p_.shape(), p_.x.data(), support::or_null(p_.gamma), support::or_null(p_.beta),
                      p_.epsilon, flat_.y.data(), flat_.moments.data());
      Judge<T>(Traits::norm, p_).forward(flat_.y, flat_.moments);
    }

    const bool in_place = input_.between(0, 3) == 0;
    if (in_place) y.view = x.view;
    forward<Kind>(x, in_place ? x : y, gamma, beta, axes,
                  right && y.view.sizes == view.sizes && fits<Kind>(y));
    if (!right) return;
    place(x, p_.x);
    backward<Kind>(dy, x, dx, gamma, beta, axes, odd);
  }

  // An object of the view's sizes in memory of its own, with gaps if its kind can have them.
  template <class Kind> Object object(View view) {
    pack(view, Kind::row_major);
    Kind::stretch(input_, view);
    Object out;
    out.view = view;
    out.offset = input_.between(0, 7);
    allocate(out.memory, size(out.offset + view.extent()));
    return out;
  }
  Object vector(const std::vector<T>& values) {
    Object out;
    out.view = {{static_cast<Index>(values.size())}, {1}};
    out.offset = input_.between(0, 7);
    allocate(out.memory, size(out.offset + out.view.extent()));
    std::copy(values.begin(), values.end(), out.memory.begin() + out.offset);
    return out;
  }
  // Makes a vector too long or gives it gaps.
  void spoil(Object& vector) {
    if (vector.view.sizes[0] == 1 || input_.coin()) {
      vector.view.sizes[0] += 1;
    } else {
      vector.view.steps[0] = 2;
    }
    allocate(vector.memory, size(vector.offset + vector.view.extent()));
  }

  // Where the rows of an object lie.
  Operand<T> operand(Object& of) const {
    Operand<T> out{&of.memory, std::vector<std::size_t>(size(p_.rows * p_.hidden))};
    map_.each([&](const std::vector<Index>& at, std::size_t i) {
      Index cell = of.offset;
      for (std::size_t d = 0; d < at.size(); ++d) cell += at[d] * of.view.steps[d];
      out.cells[i] = size(cell);
    });
    return out;
  }
  void place(Object& object, const std::vector<T>& rows) const {
    if (rows.size() == size(p_.rows * p_.hidden)) operand(object).write(rows, object.memory);
  }
  // A kernel exists for how the object lies: without gaps; with gaps if one axis is normalized, and rows
  // that lie side by side are neighbours.
  template <class Kind> bool fits(const Object& object) const {
    if (!object.view.has_gaps(Kind::row_major)) return true;
    if (map_.count > 1) return false;
    if (Kind::rank == 1) return true;
    const std::size_t inner = Kind::row_major ? 1 : 0;
    return size(map_.first) == inner || object.view.steps[inner] == 1 || object.view.sizes[inner] == 1;
  }

  std::vector<RowMoments<T>> content(const Moments<T>& moments) const {
    return {moments.data(), moments.data() + moments.rows()};
  }
  Functor functor(Object& gamma, Object& beta, Axes axes) const {
    const Vector gamma_vector = VectorObject<T>::object(gamma.data(), gamma.view),
                 beta_vector = VectorObject<T>::object(beta.data(), beta.view);
    return Traits::make(p_.gamma.empty() ? nullptr : &gamma_vector, p_.beta.empty() ? nullptr : &beta_vector,
                        p_.epsilon, axes);
  }

  template <class Kind>
  void forward(Object& x, Object& y, Object& gamma, Object& beta, Axes axes, bool right) {
    const Operand<T> x_cells = operand(x);
    std::vector<T> x_expected = x.memory, y_expected = y.memory;
    const std::vector<T> gamma_before = gamma.memory, beta_before = beta.memory;
    Moments<T> moments;
    moments.resize(input_.between(0, 9));
    std::fill(moments.data(), moments.data() + moments.rows(), RowMoments<T>{3, 3, 3, 3});
    const std::vector<RowMoments<T>> moments_before = content(moments);
    const Index how = input_.between(0, Kind::in_expressions && right ? 3 : 1);
    call_in_words += how == 0 ? ": forward" : how == 1 ? ": forward with moments" : ": in an expression";
    bool was_refused;
    {
      const Operand<T> y_cells = right ? operand(y) : Operand<T>{&y.memory, {}};
      const Poison<T> x_gaps(x.memory, {&x_cells, &y_cells}), y_gaps(y.memory, {&x_cells, &y_cells});
      was_refused = refused([&] {
        const auto from = Kind::object(x.data(), x.view);
        auto to = Kind::object(y.data(), y.view);
        const Functor norm = functor(gamma, beta, axes);
        if (how == 0) norm.forward(from, to);
        if (how == 1) norm.forward(from, to, moments);
        if constexpr (Kind::in_expressions) {
          if (how == 2) to = norm(from);
          if (how == 3) to = (from * from.constant(T(1))).customOp(norm);
        }
      });
    }
    if (was_refused == right) fail(was_refused ? "refused" : "not refused");
    if (right) {
      expect_rows(operand(y), p_, flat_.y, y_expected);
      if (&x == &y) x_expected = y_expected;
    }
    expect_same("memory of x", x.memory, x_expected);
    expect_same("memory of y", y.memory, y_expected);
    expect_same("gamma", gamma.memory, gamma_before);
    expect_same("beta", beta.memory, beta_before);
    expect_same("moments", content(moments), right && how == 1 ? flat_.moments : moments_before);
  }

  template <class Kind>
  void backward(Object& dy, Object& x, Object& own_dx, Object& gamma, Object& beta, Axes axes, Index odd) {
    const Index place_of_dx = input_.between(0, 5);
    Object& dx = place_of_dx == 0 ? dy : place_of_dx == 1 ? x : own_dx;
    const bool wants_dgamma = input_.coin(), wants_dbeta = layer && input_.coin(), adds = input_.coin();
    const std::vector<T> start(size(p_.hidden), input_.number<T>());
    Object dgamma = vector(start), dbeta = vector(start);
    bool right = odd != 7;
    for (const Object* object : {&dy, &dx})
      right = right && object->view.sizes == map_.sizes && fits<Kind>(*object);
    const bool spoils_dgamma = odd == 5 && wants_dgamma, spoils_dbeta = odd == 6 && wants_dbeta;
    if (spoils_dgamma) spoil(dgamma);
    if (spoils_dbeta) spoil(dbeta);
    right = right && !spoils_dgamma && !spoils_dbeta;
    Moments<T> moments;
    moments.resize(p_.rows + (odd == 7 ? 1 : 0));
    std::copy(flat_.moments.begin(), flat_.moments.end(), moments.data());
    call_in_words += std::string(": backward") +
                     (&dx == &dy  ? " on dy"
                      : &dx == &x ? " on x"
                                  : "") +
                     (wants_dgamma ? ", dgamma" : "") + (wants_dbeta ? ", dbeta" : "") +
                     (adds ? ", accumulate, workspace" : "");

    std::vector<T> x_expected = x.memory, dy_expected = dy.memory, dx_expected = dx.memory;
    const std::vector<T> gamma_before = gamma.memory, dgamma_before = dgamma.memory,
                         dbeta_before = dbeta.memory;
    const std::vector<RowMoments<T>> moments_before = content(moments);
    const bool was_refused = refused([&] {
      const auto dy_object = Kind::object(dy.data(), dy.view), x_object = Kind::object(x.data(), x.view);
      auto dx_object = Kind::object(dx.data(), dx.view);
      auto to_gamma = VectorObject<T>::object(dgamma.data(), dgamma.view),
           to_beta = VectorObject<T>::object(dbeta.data(), dbeta.view);
      Vector *g = wants_dgamma ? &to_gamma : nullptr, *b = wants_dbeta ? &to_beta : nullptr;
      const Functor norm = functor(gamma, beta, axes);
      simdnorm::Workspace<T> workspace;
      if (adds) {
        Traits::backward(norm, dy_object, x_object, moments, dx_object, g, b, workspace,
                         simdnorm::accumulate);
      } else {
        Traits::backward(norm, dy_object, x_object, moments, dx_object, g, b);
      }
    });
    if (was_refused == right) fail(was_refused ? "refused" : "not refused");
    if (right) {
      const std::vector<T> rows = operand(dx).read();
      const Judge<T> judge(Traits::norm, p_);
      judge.backward(rows);
      const auto values = [](Object& object) {
        return std::vector<T>(object.memory.begin() + object.offset, object.memory.end());
      };
      judge.parameters(adds ? start : std::vector<T>(), wants_dgamma ? values(dgamma) : std::vector<T>(),
                       wants_dbeta ? values(dbeta) : std::vector<T>());
      operand(dx).write(rows, dx_expected);
      if (&dx == &dy) dy_expected = dx_expected;
      if (&dx == &x) x_expected = dx_expected;
    }
    expect_same("memory of dy", dy.memory, dy_expected);
    expect_same("memory of x", x.memory, x_expected);
    expect_same("memory of dx", dx.memory, dx_expected);
    expect_same("gamma", gamma.memory, gamma_before);
    expect_same("moments", content(moments), moments_before);
    if (!right || !wants_dgamma) expect_same("dgamma", dgamma.memory, dgamma_before);
    if (!right || !wants_dbeta) expect_same("dbeta", dbeta.memory, dbeta_before);
  }

  Input& input_;
  RowMap map_{};
  support::Problem<T> p_;
  support::Forward<T> flat_;  // of contiguous rows
};

template <class Functor> void run_eigen(Input& input);

}  // namespace fuzz
