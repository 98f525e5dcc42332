// LayerNorm over Eigen tensors of rank 1 to 6, in both storage orders, over every run of neighbouring axes.
#include <simdnorm/simdnorm.hpp>

#include "support/tensors.hpp"

namespace {

using namespace support;
using simdnorm::Index;

template <int Rank, int Order> struct Case { static constexpr int rank = Rank, order = Order; };

template <class C> struct LayerNormOnTensors : testing::Test {
  using Tensor = Eigen::Tensor<float, C::rank, C::order>;
  static Tensor make(const std::vector<Index>& sizes) {
    Eigen::array<Eigen::Index, static_cast<std::size_t>(C::rank)> dimensions{};
    for (std::size_t d = 0; d < dimensions.size(); ++d) dimensions[d] = sizes[d];
    Tensor out(dimensions);
    out.setConstant(nan_of<float>);
    return out;
  }

  // Forward and backward over [first, first + count), given to the functor as `axes`.
  static void check(const std::vector<Index>& sizes, simdnorm::Axes axes, int first, int count,
                    Parameters parameters) {
    const RowMap map{sizes, C::order == Eigen::RowMajor, first, count};
    SCOPED_TRACE("axes " + std::to_string(first) + " + " + std::to_string(count));
    const Expected<float> e =
        expect(Norm::layer, map, 1e-5f, parameters, static_cast<std::uint64_t>(first * 8 + count));
    Tensor x = make(sizes), y = make(sizes), dy = make(sizes), dx = make(sizes);
    scatter(map, e.p.x, x);
    scatter(map, e.p.dy, dy);
    const Eigen::Tensor<float, 1> gamma = vector_of(e.p.gamma), beta = vector_of(e.p.beta);
    using Vector = simdnorm::LearnedVector<float>;
    const Vector no_vector = nullptr;
    const simdnorm::LayerNorm<float> norm(has_gamma(parameters) ? Vector(gamma) : no_vector,
                                          has_beta(parameters) ? Vector(beta) : no_vector, 1e-5f, axes);
    norm.forward(x, y);
    EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1) << "y";

    simdnorm::Moments<float> moments;
    y.setConstant(nan_of<float>);
    norm.forward(x, y, moments);
    EXPECT_EQ(first_difference(gather(map, y), e.forward.y), -1) << "y with moments";
    ASSERT_EQ(moments.rows(), map.rows());
    for (Index r = 0; r < map.rows(); ++r) {
      EXPECT_EQ(moments.mean(r), simdnorm::true_mean(e.forward.moments[size(r)]));
      EXPECT_EQ(moments.rstd(r), simdnorm::true_rstd(e.forward.moments[size(r)]));
    }

    norm.backward(dy, x, moments, dx);
    EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1) << "dx";
    Eigen::Tensor<float, 1> dgamma(map.hidden()), dbeta(map.hidden());
    dgamma.setConstant(nan_of<float>);
    dbeta.setConstant(nan_of<float>);
    dx.setConstant(nan_of<float>);
    norm.backward(dy, x, moments, dx, dgamma, dbeta);
    EXPECT_EQ(first_difference(gather(map, dx), e.gradients.dx), -1) << "dx with parameters";
    EXPECT_LE(parameter_ratio(Gradient::dgamma, e, dgamma.data()), 1);
    EXPECT_LE(parameter_ratio(Gradient::dbeta, e, dbeta.data()), 1);
  }
};

using Cases = testing::Types<Case<1, Eigen::RowMajor>, Case<2, Eigen::RowMajor>, Case<3, Eigen::RowMajor>,
                             Case<4, Eigen::RowMajor>, Case<5, Eigen::RowMajor>, Case<6, Eigen::RowMajor>,
                             Case<1, Eigen::ColMajor>, Case<2, Eigen::ColMajor>, Case<3, Eigen::ColMajor>,
                             Case<4, Eigen::ColMajor>, Case<5, Eigen::ColMajor>, Case<6, Eigen::ColMajor>>;
TYPED_TEST_SUITE(LayerNormOnTensors, Cases);

// Unlike sizes, so that no two dimensions can be mistaken for each other.
const std::vector<Index> all_sizes = {4, 3, 7, 2, 5, 6};

TYPED_TEST(LayerNormOnTensors, TheLastAxisByDefault) {
  const int rank = TypeParam::rank;
  const std::vector<Index> sizes(all_sizes.begin(), all_sizes.begin() + rank);
  this->check(sizes, {}, rank - 1, 1, Parameters::both);
}

TYPED_TEST(LayerNormOnTensors, AnyRunOfAxes) {
  const int rank = TypeParam::rank;
  const std::vector<Index> sizes(all_sizes.begin(), all_sizes.begin() + rank);
  const Parameters parameters[] = {Parameters::both, Parameters::gamma, Parameters::beta, Parameters::none};
  for (int first = 0; first < rank; ++first) {
    this->check(sizes, simdnorm::axis(first), first, 1, parameters[first % 4]);
    this->check(sizes, simdnorm::axis(first - rank), first, 1, parameters[(first + 1) % 4]);
    for (int count = 2; first + count <= rank; ++count) {
      this->check(sizes, simdnorm::Axes{first, count}, first, count, Parameters::both);
    }
    this->check(sizes, simdnorm::last_axes(rank - first), first, rank - first, parameters[(first + 2) % 4]);
  }
}

TYPED_TEST(LayerNormOnTensors, DimensionsOfOneAndOfManyElements) {
  const int rank = TypeParam::rank;
  for (int large = 0; large < rank; ++large) {
    std::vector<Index> sizes(size(rank), 1);
    sizes[size(large)] = 130;
    for (int first = 0; first < rank; ++first)
      this->check(sizes, simdnorm::axis(first), first, 1, Parameters::both);
    if (rank > 1) {
      sizes[size((large + 1) % rank)] = 67;
      for (int first = 0; first < rank; ++first)
        this->check(sizes, simdnorm::axis(first), first, 1, Parameters::both);
    }
  }
}

TYPED_TEST(LayerNormOnTensors, NoRows) {
  const int rank = TypeParam::rank;
  if (rank == 1) return;  // one row, always
  std::vector<Index> sizes(all_sizes.begin(), all_sizes.begin() + rank);
  sizes[0] = 0;
  auto x = this->make(sizes), y = this->make(sizes);
  const Index hidden = sizes.back();
  const simdnorm::LayerNorm<float> norm(hidden);
  simdnorm::Moments<float> moments;
  norm.forward(x, y, moments);
  EXPECT_EQ(moments.rows(), 0);
  Eigen::Tensor<float, 1> dgamma(hidden), dbeta(hidden);
  dgamma.setConstant(3.f);
  dbeta.setConstant(3.f);
  norm.backward(x, x, moments, y, dgamma, dbeta, simdnorm::accumulate);
  for (Index c = 0; c < hidden; ++c) {
    EXPECT_EQ(dgamma(c), 3.f);
    EXPECT_EQ(dbeta(c), 3.f);
  }
  norm.backward(x, x, moments, y, dgamma, dbeta);
  for (Index c = 0; c < hidden; ++c) {
    EXPECT_EQ(dgamma(c), 0.f);
    EXPECT_EQ(dbeta(c), 0.f);
  }
}

}  // namespace
