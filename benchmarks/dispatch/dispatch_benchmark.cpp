// What run-time dispatch costs: the same calls in a program for any x86-64 with dispatch, and compiled for this machine.
#include <benchmark/benchmark.h>

#include <simdnorm/pointers.hpp>
#include <string>
#include <vector>

#include "../support/machine.hpp"
#include "calls.hpp"

Calls direct_calls();

namespace {

using simdnorm::Index;

void measure(benchmark::State& state, Index rows, Index hidden, const Call& call) {
  const auto elements = static_cast<std::size_t>(rows * hidden), columns = static_cast<std::size_t>(hidden);
  std::vector<float> x(elements), dy(elements, 1.0F), y(elements), dx(elements);
  std::vector<float> gamma(columns, 1.5F), beta(columns, 0.5F), dgamma(columns), dbeta(columns);
  for (std::size_t i = 0; i < elements; ++i) x[i] = static_cast<float>(i * 2654435761U % 1000) / 1000 - 0.25F;
  std::vector<simdnorm::RowMoments<float>> moments(static_cast<std::size_t>(rows), {0.25F, 0, 3.4F, 1});
  std::vector<double> workspace(
      static_cast<std::size_t>(simdnorm::gradient_workspace_bytes<float>({rows, hidden})) / sizeof(double));
  const Operands operands{rows,     hidden,    x.data(),      dy.data(),    gamma.data(),   beta.data(),
                          y.data(), dx.data(), dgamma.data(), dbeta.data(), moments.data(), workspace.data()};
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
