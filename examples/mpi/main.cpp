// mpi: LayerNorm and RMSNorm on several processes, forward and backward, which have some of the tokens each, or some columns
// of all tokens. Both are compared with one process that has all.
//   mpirun -n 4 example_mpi
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <utility>

#include "norms.hpp"

namespace {

using simdnorm::Index;
using simdnorm::Parts;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr Index rows = 150, hidden = 1000;

std::size_t size(Index n) { return static_cast<std::size_t>(n); }

// --- communication ---

/// What process n of `count` has of [0, all).
struct Range {
  Index begin, end;
  Index size() const { return end - begin; }
};
Range share(Index all, int n, int count) { return {all * n / count, all * (n + 1) / count}; }

class Processes {
 public:
  Processes() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &count_);
  }
  int rank() const { return rank_; }
  int count() const { return count_; }

  /// The records of all processes, in the order of the processes. They are made of doubles.
  template <class Record> std::vector<Record> gather(const std::vector<Record>& mine) {
    std::vector<Record> all(mine.size() * size(count_));
    const int doubles = static_cast<int>(mine.size() * sizeof(Record) / sizeof(double));
    MPI_Allgather(mine.data(), doubles, MPI_DOUBLE, all.data(), doubles, MPI_DOUBLE, MPI_COMM_WORLD);
    bytes_ += doubles * static_cast<Index>(sizeof(double));
    return all;
  }
  /// The bytes that this process gave to the others since it was asked last.
  Index bytes() { return std::exchange(bytes_, 0); }

  /// The sum of all processes' arrays: for comparisons, and not counted.
  template <class T> void add_up(std::vector<T>& numbers) const {
    MPI_Allreduce(MPI_IN_PLACE, numbers.data(), static_cast<int>(numbers.size()),
                  sizeof(T) == sizeof(double) ? MPI_DOUBLE : MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }

 private:
  int rank_ = 0, count_ = 1;
  Index bytes_ = 0;
};

// --- the three ways ---

/// Every process makes the same, so that each can be compared with all; a model's processes have their shares alone.
struct Problem {
  Floats x = Floats(size(rows * hidden)), dy = x;  // (rows, hidden)
  Floats gamma = Floats(size(hidden)), beta = gamma;
  Problem() {
    std::mt19937 bits(1);
    std::normal_distribution<float> normal;
    for (Index i = 0; i < rows * hidden; ++i) {
      x[size(i)] = static_cast<float>(i / hidden % 7 * 100) + normal(bits);  // means of up to 600 deviations
      dy[size(i)] = normal(bits);
    }
    for (float& number : gamma) number = normal(bits);
    for (float& number : beta) number = normal(bits);
  }
};
struct Outputs {
  Floats y = Floats(size(rows * hidden)), dx = y;
  Doubles dgamma = Doubles(size(hidden)), dbeta = dgamma;
  Moments moments = Moments(size(rows));
  Index bytes_forward = 0, bytes_backward = 0;
};

template <class Norm> Outputs by_one_process(const Problem& p) {
  const RowShape shape{rows, hidden};
  const Parameters parameters{p.gamma.data(), p.beta.data()};
  Outputs out;
  Norm::forward(shape, p.x.data(), parameters, out.y.data(), out.moments);
  Norm::backward(shape, p.dy.data(), p.x.data(), parameters, out.moments, out.dx.data(), out.dgamma.data(),
                 out.dbeta.data());
  return out;
}

/// Some tokens each. Only dgamma and dbeta need the others: they are gathered, and added in the order of the processes.
template <class Norm> Outputs by_tokens(Processes& all, const Problem& p) {
  const Range mine = share(rows, all.rank(), all.count());
  const RowShape shape{mine.size(), hidden};
  const Index first = mine.begin * hidden;
  const Parameters parameters{p.gamma.data(), p.beta.data()};
  Outputs out;
  Moments moments(size(mine.size()));
  Norm::forward(shape, p.x.data() + first, parameters, out.y.data() + first, moments);
  Doubles gradients(size(Norm::numbers * hidden));  // dgamma, then dbeta
  Norm::backward(shape, p.dy.data() + first, p.x.data() + first, parameters, moments, out.dx.data() + first,
                 gradients.data(), gradients.data() + (Norm::numbers - 1) * hidden);
  const Doubles of_all = all.gather(gradients);
  for (std::size_t i = 0; i < of_all.size(); ++i) {
    Doubles& sum = i / size(hidden) % size(Norm::numbers) == 0 ? out.dgamma : out.dbeta;
    sum[i % size(hidden)] += of_all[i];
  }
  out.bytes_backward = all.bytes();
  all.add_up(out.y);  // of the others' tokens 0
  all.add_up(out.dx);
  return out;
}

/// The columns of a range of all tokens, as an array of their own; and back.
Floats columns(const Floats& whole, Range range) {
  Floats part;
  for (Index r = 0; r < rows; ++r)
    part.insert(part.end(), whole.begin() + r * hidden + range.begin, whole.begin() + r * hidden + range.end);
  return part;
}
void put(const Floats& part, Range range, Floats& whole) {
  for (Index r = 0; r < rows; ++r)
    std::copy_n(part.begin() + r * range.size(), range.size(), whole.begin() + r * hidden + range.begin);
}

/// Some columns of all tokens each, gamma's and beta's too. What a part says of each row is gathered, once forward and once
/// backward; dgamma and dbeta need no one.
template <class Norm> Outputs by_columns(Processes& all, const Problem& p) {
  const Range mine = share(hidden, all.rank(), all.count());
  std::vector<Index> widths;
  for (int n = 0; n < all.count(); ++n) widths.push_back(share(hidden, n, all.count()).size());
  const RowShape shape{rows, mine.size()};
  const Floats x = columns(p.x, mine), dy = columns(p.dy, mine);
  const Parameters parameters{p.gamma.data() + mine.begin, p.beta.data() + mine.begin};
  Floats y(x.size()), dx(x.size());
  Outputs out;

  std::vector<typename Norm::Partial> partials(size(rows));
  Norm::partial(shape, x.data(), partials.data());
  const auto records = all.gather(partials);
  Norm::apply(shape, x.data(), parameters, Parts{records.data(), widths.data(), all.count()}, y.data(),
              out.moments);
  out.bytes_forward = all.bytes();

  std::vector<typename Norm::GradientPartial> sums(size(rows));
  Norm::gradient_partial(shape, dy.data(), x.data(), parameters, out.moments, sums.data());
  const auto gradients = all.gather(sums);
  Norm::gradient_apply(shape, dy.data(), x.data(), parameters, out.moments,
                       Parts{gradients.data(), widths.data(), all.count()}, dx.data(),
                       out.dgamma.data() + mine.begin, out.dbeta.data() + mine.begin);
  out.bytes_backward = all.bytes();

  put(y, mine, out.y), put(dx, mine, out.dx);
  all.add_up(out.y), all.add_up(out.dx), all.add_up(out.dgamma), all.add_up(out.dbeta);
  return out;
}

// --- comparison ---

/// How far two results of the same norm are apart, as a part of what they may be: each is as near to the formula as README.md
/// promises (y 5 units, dx 5e-7 of the norm of dy gamma rstd, dgamma 4 u of sum |dy| max(1, |xhat|), dbeta 2e-7 of sum |dy|), so
/// that two of them are no further apart than twice that.
struct Apart {
  double forward = 0, backward = 0;
};
Apart apart(const Problem& p, const Outputs& a, const Outputs& b) {
  const double u = 0x1p-24;
  const auto wide = [](float number) { return static_cast<double>(number); };
  Apart worst;
  const auto see = [](double& of, double difference, double allowed) {
    of = std::max(of, difference <= 2 * allowed ? difference / (2 * allowed) : HUGE_VAL);
  };
  Doubles of_dgamma(size(hidden)), of_dbeta(size(hidden));
  for (Index r = 0; r < rows; ++r) {
    const double mean = wide(b.moments[size(r)].mean), rstd = wide(b.moments[size(r)].rstd);
    double dx_error = 0, dx_scale = 0;
    for (Index c = 0; c < hidden; ++c) {
      const std::size_t i = size(r * hidden + c), column = size(c);
      const double of_one = std::max(1.0, std::abs((wide(p.x[i]) - mean) * rstd));  // max(1, |xhat|)
      const double dy = std::abs(wide(p.dy[i])), gamma = std::abs(wide(p.gamma[column]));
      see(worst.forward, std::abs(wide(a.y[i]) - wide(b.y[i])),
          5 * u * (gamma * of_one + std::abs(wide(p.beta[column]))));
      dx_error += std::pow(wide(a.dx[i]) - wide(b.dx[i]), 2);
      dx_scale += std::pow(dy * gamma * rstd, 2);
      of_dgamma[column] += dy * of_one;
      of_dbeta[column] += dy;
    }
    see(worst.backward, std::sqrt(dx_error), 5e-7 * std::sqrt(dx_scale));
  }
  for (std::size_t c = 0; c < size(hidden); ++c) {
    see(worst.backward, std::abs(a.dgamma[c] - b.dgamma[c]), 4 * u * of_dgamma[c]);
    see(worst.backward, std::abs(a.dbeta[c] - b.dbeta[c]), 2e-7 * of_dbeta[c]);
  }
  return worst;
}

/// A line of the table; whether the bytes are those that were expected, and the results near enough.
bool report(const Processes& all, const char* norm, const char* way, Index bytes, Index units, Index least,
            double worst) {
  const Index of_each = bytes / units;
  if (all.rank() == 0)
    std::printf("| %-9s | %-26s | %6d | %6d | %5.3f |\n", norm, way, static_cast<int>(of_each),
                static_cast<int>(8 * least), worst);
  return bytes % units == 0 && of_each == 8 * least && worst <= 1;
}

template <class Norm> bool compare(Processes& all, const Problem& p) {
  const Outputs whole = by_one_process<Norm>(p);
  const Outputs tokens = by_tokens<Norm>(all, p), columns = by_columns<Norm>(all, p);
  bool good = tokens.y == whole.y && tokens.dx == whole.dx;  // a token's bits do not depend on other tokens
  const Apart of_tokens = apart(p, tokens, whole), of_columns = apart(p, columns, whole);
  const auto see = [&](const char* way, Index bytes, Index units, Index least, double worst) {
    good &= report(all, Norm::name, way, bytes, units, least, worst);
  };
  see("tokens, forward, a token", tokens.bytes_forward, rows, 0, of_tokens.forward);
  see("tokens, backward, a call", tokens.bytes_backward, 1, Norm::numbers * hidden, of_tokens.backward);
  see("columns, forward, a token", columns.bytes_forward, rows, Norm::numbers, of_columns.forward);
  see("columns, backward, a token", columns.bytes_backward, rows, Norm::numbers, of_columns.backward);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  Processes all;
  const Problem p;
  if (all.rank() == 0) {
    std::printf("%d processes, %d tokens of hidden %d. bytes: what a process gives to each of the others;\n",
                all.count(), static_cast<int>(rows), static_cast<int>(hidden));
    std::printf("least: of as few doubles as there can be; error: from one process, of what is allowed\n\n");
    std::printf("| norm      | divided by                 |  bytes |  least | error |\n");
    std::printf("|-----------|----------------------------|-------:|-------:|------:|\n");
  }
  const bool layer = compare<LayerNorm>(all, p), rms = compare<RMSNorm>(all, p);
  int good = layer && rms ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &good, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (all.rank() == 0) std::printf("\n%s\n", good != 0 ? "as they should be" : "WRONG");
  MPI_Finalize();
  return good != 0 ? 0 : 1;
}
