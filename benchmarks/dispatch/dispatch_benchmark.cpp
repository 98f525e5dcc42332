// What run-time dispatch costs: the same calls in a program for any x86-64 with dispatch, and compiled for this machine.
#include <benchmark/benchmark.h>

#include <memory>
#include <simdnorm/pointers.hpp>
#include <string>
#include <vector>

#include "../support/machine.hpp"
#include "calls.hpp"

Calls direct_calls();

namespace {

using simdnorm::Index;

/// Numbers that begin at a cache line.
template <class T> class Aligned {
 public:
  Aligned(Index count, T value)
      : numbers_(static_cast<std::size_t>(count) + line / sizeof(T), value),
        data_(numbers_.data() + (0 - reinterpret_cast<std::uintptr_t>(numbers_.data())) % line / sizeof(T)) {}
  T* data() { return data_; }

 private:
  static constexpr std::size_t line = 64;
  std::vector<T> numbers_;
  T* data_;
};

/// The arrays of one shape, on which all calls of it take turns.
struct Arrays {
  Index rows, hidden;
  Aligned<float> x, dy, y, dx, gamma, beta, dgamma, dbeta;
  Aligned<simdnorm::RowMoments<float>> moments;
  Aligned<double> workspace;

  Arrays(Index row_count, Index columns)
      : rows(row_count),
        hidden(columns),
        x(rows * hidden, 0),
        dy(rows * hidden, 1),
        y(rows * hidden, 0),
        dx(rows * hidden, 0),
        gamma(hidden, 1.5F),
        beta(hidden, 0.5F),
        dgamma(hidden, 0),
        dbeta(hidden, 0),
        moments(rows, {0.25F, 0, 3.4F, 1}),
        workspace(simdnorm::gradient_workspace_bytes<float>({rows, hidden}) / Index(sizeof(double)), 0) {
    for (Index i = 0; i < rows * hidden; ++i)
      x.data()[i] = static_cast<float>(i * 2654435761 % 1000) / 1000 - 0.25F;
  }
  Operands operands() {
    return {rows,     hidden,    x.data(),      dy.data(),    gamma.data(),   beta.data(),
            y.data(), dx.data(), dgamma.data(), dbeta.data(), moments.data(), workspace.data()};
  }
};

void measure(benchmark::State& state, Index rows, Index hidden, const Call& call) {
  static std::unique_ptr<Arrays> arrays;  // of all shapes together there would be too many
  if (arrays == nullptr || arrays->rows != rows || arrays->hidden != hidden)
    arrays = std::make_unique<Arrays>(rows, hidden);
  const Operands operands = arrays->operands();
  for (auto iteration : state) {
    static_cast<void>(iteration);
    call.run(operands);
    benchmark::ClobberMemory();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Index shapes[][2] = {{1, 16},    {1, 128},   {1, 768},     {8, 1024},   {2048, 64},
                             {128, 768}, {512, 768}, {2048, 1024}, {8192, 1024}};
  for (const auto& [rows, hidden] : shapes)
    for (std::size_t i = 0; i < std::size(direct_calls()); ++i)
      for (const auto& [who, call] :
           {std::pair{"direct", direct_calls()[i]}, {"dispatched", simdnorm::calls[i]}}) {
        const std::string name =
            std::string(call.name) + "/" + std::to_string(rows) + "x" + std::to_string(hidden) + "/" + who;
        benchmark::RegisterBenchmark(name.c_str(), [=, rows = rows, hidden = hidden, call = call](
                                                       auto& state) { measure(state, rows, hidden, call); });
      }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  bench::pin_to_one_cpu();
  benchmark::AddCustomContext("cpu", bench::cpu_model());
  benchmark::AddCustomContext("dispatched to", name_of(simdnorm::instruction_set()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
