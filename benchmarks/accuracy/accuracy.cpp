// How far simdnorm's results, and those of its peers on the same rows, are from the exact ones: the formulas
// in 128-bit floats. Each figure is the worst of many rows; the same seeds make the same rows everywhere.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <simdnorm/config.hpp>
#include <stdexcept>

#include "../support/machine.hpp"
#include "peer.hpp"
#include "support/bounds.hpp"
#include "tables.hpp"

namespace {

using namespace accuracy;
using support::Family;
using support::Index;
using support::RowKind;

constexpr const char* usage = R"(usage: simdnorm_accuracy [--json FILE]
Measures the errors of simdnorm, and of each peer it was built with, and prints them as tables in Markdown.

  --json FILE  also writes the figures as JSON
)";

constexpr Index hiddens[] = {768, 1000, 1023, 1024};
constexpr Index rows_per_hidden = 64;
constexpr double kappas[] = {0, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
constexpr float epsilon = 1e-5f;
constexpr double failure = 1000;  // units from which on a result is wrong, and not inexact

const std::string per_figure =
    "worst of 4 × 64 rows of hidden 768, 1000, 1023 and 1024, gamma and beta on, epsilon 1e-5";

std::string power_of_ten(double value) {
  return value <= 10 ? count(value) : "1e" + std::to_string(std::lround(std::log10(value)));
}

// --- what is measured on one problem ---

// Of each row of y, in units. Outputs start as NaN, so that one that is not written is seen.
std::vector<double> forward_errors(const Peer& peer, const Problem& p) {
  std::vector<float> y(p.x.size(), support::nan_of<float>);
  peer.forward(p, y.data());
  const float* const beta = peer.norm == Norm::layer ? p.beta.data() : nullptr;
  std::vector<double> errors;
  for (Index r = 0; r < p.rows; ++r) {
    const auto worst = support::forward_error(peer.norm, p.row(r), p.gamma.data(), beta, p.epsilon, p.hidden,
                                              y.data() + r * p.hidden);
    errors.push_back(worst.ratio * support::forward_units);
  }
  return errors;
}

double worst_of(const std::vector<double>& errors) { return *std::max_element(errors.begin(), errors.end()); }

support::Backward<float> gradients(const Peer& peer, const Problem& p) {
  const float nan = support::nan_of<float>;
  support::Backward<float> out{std::vector<float>(p.x.size(), nan),
                               std::vector<float>(support::size(p.hidden), nan),
                               std::vector<float>(support::size(p.hidden), nan)};
  peer.backward(p, {out.dx.data(), out.dgamma.data(), out.dbeta.data()});
  return out;
}

// Norm-wise, relative: the worst row.
double dx_error(const Peer& peer, const Problem& p, const std::vector<float>& dx) {
  double worst = 0;
  for (Index r = 0; r < p.rows; ++r) {
    const double ratio = support::dx_error(peer.norm, p.dy_row(r), p.row(r), p.gamma.data(), p.epsilon,
                                           p.hidden, dx.data() + r * p.hidden)
                             .ratio;
    worst = std::max(worst, ratio * support::dx_bound<float>);
  }
  return worst;
}

// In u * sum |dy| * max(1, |xhat|): the worst column.
double dgamma_error(const oracle::ParameterGradients& exact, const std::vector<float>& dgamma) {
  return support::parameter_error(support::Gradient::dgamma, exact, dgamma.data()).ratio *
         support::dgamma_bound<float> / support::roundoff<float>;
}

// Relative to sum |dy|: the worst column.
double dbeta_error(const oracle::ParameterGradients& exact, const std::vector<float>& dbeta) {
  return support::parameter_error(support::Gradient::dbeta, exact, dbeta.data()).ratio *
         support::dbeta_bound<float>;
}

Problem problem(Index rows, Index hidden, const std::vector<RowKind>& kinds, std::uint64_t seed) {
  return support::make_problem<float>(rows, hidden, kinds, support::Parameters::both, epsilon, seed);
}

// A peer that is called wrongly would be accused of errors that are not its own.
void check(const Peer& peer) {
  for (const Index hidden : {7, 768}) {
    const Problem p = problem(5, hidden, {{Family::normal, 1, 0}}, 1);
    const auto exact =
        oracle::parameter_gradients(peer.norm, p.dy.data(), p.x.data(), p.epsilon, p.rows, hidden);
    const support::Backward<float> got = gradients(peer, p);
    const bool right = worst_of(forward_errors(peer, p)) < 100 && dx_error(peer, p, got.dx) < 1e-5 &&
                       dgamma_error(exact, got.dgamma) < 100 &&
                       (peer.norm == Norm::rms || dbeta_error(exact, got.dbeta) < 1e-5);
    if (!right)
      throw std::runtime_error(peer.name + ": wrong on easy rows of hidden " + std::to_string(hidden));
  }
}

// --- the tables ---

// figure(peer, problem) of all peers, the worst over the hidden sizes.
template <class Figure> Row worst_row(const std::string& label, const RowKind& kind, Figure&& figure) {
  Row row{label, std::vector<double>(peers().size(), 0)};
  const RowKind below{kind.family, -kind.kappa, kind.log2_std};
  for (const Index hidden : hiddens) {
    const Problem p = problem(rows_per_hidden, hidden, {kind, below}, static_cast<std::uint64_t>(hidden));
    for (std::size_t i = 0; i < peers().size(); ++i)
      row.figures[i] = std::max(row.figures[i], figure(peers()[i], p));
  }
  return row;
}

double forward_error(const Peer& peer, const Problem& p) { return worst_of(forward_errors(peer, p)); }

Table forward_by_kappa() {
  Table table{"Forward: error of y by mean ÷ deviation",
              "In units of 2⁻²⁴·(|gamma|·max(1, |xhat|) + |beta|); normal rows, " + per_figure + ".",
              "mean ÷ deviation", units};
  for (const double kappa : kappas)
    table.rows.push_back(worst_row(power_of_ten(kappa), {Family::normal, kappa, 0}, forward_error));
  return table;
}

Table forward_by_family() {
  Table table{"Forward: error of y by the values of a row",
              "In the same units; " + per_figure + ". Named as in tests/support/row_families.hpp.",
              "values, mean ÷ deviation", units};
  for (int f = 0; f <= static_cast<int>(Family::outliers_sampled); ++f) {
    const Family family = static_cast<Family>(f);
    for (const double kappa : {0.0, 1e4}) {
      table.rows.push_back(
          worst_row(support::name(family) + (", " + power_of_ten(kappa)), {family, kappa, 0}, forward_error));
    }
  }
  Problem adjacent = problem(1, 4, {{Family::normal, 0, 0}}, 1);
  adjacent.x = {40000, 40001, 40002, 40003};
  Row& last = table.rows.emplace_back(Row{"the one row 40000, 40001, 40002, 40003", {}});
  for (const Peer& peer : peers()) last.figures.push_back(forward_error(peer, adjacent));
  return table;
}

Table dx_by_kappa() {
  Table table{"Backward: error of dx by mean ÷ deviation",
              "Norm of the error ÷ norm of dx; normal rows and normal dy, " + per_figure + ".",
              "mean ÷ deviation", scientific};
  for (const double kappa : kappas) {
    table.rows.push_back(worst_row(
        power_of_ten(kappa), {Family::normal, kappa, 0},
        [](const Peer& peer, const Problem& p) { return dx_error(peer, p, gradients(peer, p).dx); }));
  }
  return table;
}

// dy of every row is that of the first, and dbeta rows times it.
double error_of_constant_dy(const Peer& peer, Problem& p) {
  oracle::ParameterGradients exact;
  for (Index c = 0; c < p.hidden; ++c) {
    const float value = p.dy[support::size(c)];
    exact.dbeta.push_back(oracle::wide(value) * oracle::wide(p.rows));
    exact.dbeta_magnitude.push_back(oracle::abs(exact.dbeta.back()));
    for (Index r = 1; r < p.rows; ++r) p.dy[support::size(r * p.hidden + c)] = value;
  }
  return dbeta_error(exact, gradients(peer, p).dbeta);
}

void parameter_gradients(Table& dgamma, Table& dbeta) {
  constexpr Index hidden = 16;
  for (const auto& [rows, problems] : std::map<Index, int>{{1, 64}, {100, 64}, {10000, 4}, {1000000, 1}}) {
    Row of_dgamma{power_of_ten(static_cast<double>(rows)), std::vector<double>(peers().size(), 0)};
    Row of_dbeta = of_dgamma;
    for (int n = 0; n < problems; ++n) {
      Problem p = problem(rows, hidden, {{Family::normal, 0, 0}}, static_cast<std::uint64_t>(n));
      std::map<Norm, oracle::ParameterGradients> exact;
      for (std::size_t i = 0; i < peers().size(); ++i) {
        const Norm norm = peers()[i].norm;
        if (exact.count(norm) == 0)
          exact[norm] = oracle::parameter_gradients(norm, p.dy.data(), p.x.data(), p.epsilon, rows, hidden);
        const double error = dgamma_error(exact[norm], gradients(peers()[i], p).dgamma);
        of_dgamma.figures[i] = std::max(of_dgamma.figures[i], error);
      }
      for (std::size_t i = 0; i < peers().size(); ++i) {
        of_dbeta.figures[i] = peers()[i].norm == Norm::rms
                                  ? not_measured
                                  : std::max(of_dbeta.figures[i], error_of_constant_dy(peers()[i], p));
      }
    }
    dgamma.rows.push_back(of_dgamma);
    dbeta.rows.push_back(of_dbeta);
  }
}

// How many rows each peer fails on; what epsilon they come with is overwritten.
Row failures(const std::string& label, std::vector<Problem> problems, float with_epsilon) {
  Row row{"", std::vector<double>(peers().size(), 0)};
  Index rows = 0;
  for (Problem& p : problems) {
    p.epsilon = with_epsilon;
    rows += p.rows;
    for (std::size_t i = 0; i < peers().size(); ++i) {
      for (const double error : forward_errors(peers()[i], p)) row.figures[i] += error > failure;
    }
  }
  row.label = label + (with_epsilon > 0 ? ", 1e-5 (" : ", 0 (") + std::to_string(rows) + ")";
  return row;
}

// Rows of these kinds, of each hidden size.
std::vector<Problem> problems(const std::vector<RowKind>& kinds) {
  std::vector<Problem> all;
  for (const Index hidden : hiddens) {
    all.push_back(
        problem(static_cast<Index>(kinds.size()), hidden, kinds, static_cast<std::uint64_t>(hidden)));
  }
  return all;
}

Table extreme_rows() {
  Table table{"Forward: extreme rows that fail",
              "How many rows of y have NaN, Inf or an error above 1000 of those units. Uniform values in "
              "(-2^k, 2^k), each k twice, and constant rows, of hidden 768, 1000, 1023 and 1024.",
              "values, epsilon (number of rows)", count};
  struct Band {
    int low, high;
  };
  for (const Band band : {Band{-149, -127}, Band{-126, -64}, Band{-63, 0}, Band{1, 63}, Band{64, 127}}) {
    std::vector<RowKind> kinds;
    for (int k = band.low; k <= band.high; ++k) kinds.insert(kinds.end(), 2, {Family::uniform, 0, k});
    const std::string label = "k = " + std::to_string(band.low) + " … " + std::to_string(band.high);
    for (const float with_epsilon : {0.0f, epsilon})
      table.rows.push_back(failures(label, problems(kinds), with_epsilon));
  }
  std::vector<RowKind> constant;
  for (const double kappa : {0.0, 1e2, 1e4, 1e6})
    constant.insert(constant.end(), 16, {Family::constant, kappa, 0});
  for (const float with_epsilon : {0.0f, epsilon})
    table.rows.push_back(failures("constant", problems(constant), with_epsilon));
  return table;
}

// --- the program ---

std::string measured() {
  const std::string missing = ACCURACY_NOT_INSTALLED;
  return "simdnorm " + std::to_string(SIMDNORM_VERSION_MAJOR) + "." + std::to_string(SIMDNORM_VERSION_MINOR) +
         "." + std::to_string(SIMDNORM_VERSION_PATCH) + ", float, one thread, on " + bench::cpu_model() +
         "; built with " + bench::compiler() + " for " + bench::instruction_set() +
         ". All columns are of LayerNorm, except where RMSNorm is named." +
         (missing.empty() ? "" : " Not installed when this was built, and not measured: " + missing + ".");
}

int run(int argc, char** argv) {
  std::ofstream json;
  if (argc == 3 && std::string(argv[1]) == "--json") {
    if (!has_json) throw std::runtime_error("built without nlohmann's JSON library (nlohmann-json3-dev)");
    json.open(argv[2]);
    if (!json) throw std::runtime_error(std::string(argv[2]) + ": cannot be written");
  } else if (argc > 1) {
    const bool asked = argc == 2 && std::string(argv[1]) == "--help";
    (asked ? std::cout : std::cerr) << usage;
    return asked ? 0 : 2;
  }

  // The columns: LayerNorm first.
  list_libraries();
  std::stable_sort(peers().begin(), peers().end(),
                   [](const Peer& a, const Peer& b) { return a.norm < b.norm; });
  for (const Peer& peer : peers()) check(peer);
  const auto progress = [](const char* what) { std::cerr << "measuring " << what << " ...\n"; };
  std::vector<Table> tables;
  progress("y by mean ÷ deviation");
  tables.push_back(forward_by_kappa());
  progress("y by the values of a row");
  tables.push_back(forward_by_family());
  progress("y of extreme rows");
  tables.push_back(extreme_rows());
  progress("dx");
  tables.push_back(dx_by_kappa());
  progress("dgamma and dbeta");
  Table dgamma{"Backward: error of dgamma by the number of rows",
               "In units of 2⁻²⁴·Σ|dy|·max(1, |xhat|); normal rows and normal dy, hidden 16.", "rows", units};
  Table dbeta{"Backward: error of dbeta by the number of rows",
              "Relative to Σ|dy|; dy is the same in all rows, hidden 16.", "rows", scientific};
  parameter_gradients(dgamma, dbeta);
  tables.push_back(dgamma);
  tables.push_back(dbeta);

  std::cout << measured() << "\n\n";
  for (const Table& table : tables) write_markdown(std::cout, table);
  if (json.is_open()) write_json(json, measured(), tables);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "simdnorm_accuracy: " << error.what() << '\n';
    return 1;
  }
}
