// What the Google Benchmark programs share: every shape, forward and backward, every candidate.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "candidates.hpp"
#include "machine.hpp"
#include "operands.hpp"
#include "shapes.hpp"

namespace bench {

/// Only the arrays of the shape that is being measured exist: together they would not fit.
inline const Operands& operands_of(Norm norm, Pass pass, Type type, const Shape& shape) {
  static std::unique_ptr<Operands> operands;
  static std::string current;
  const std::string wanted = path(norm, pass, type) + "/" + path(shape);
  if (wanted != current) {
    operands.reset();
    operands = std::make_unique<Operands>(norm, pass, shape, type);
    current = wanted;
  }
  return *operands;
}

inline void register_one(Norm norm, Pass pass, Type type, const Shape& shape, const Candidate& who,
                         bool computes_all) {
  const std::string name = path(norm, pass, type) + "/" + path(shape) + "/" + who.name;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    const Operands& operands = operands_of(norm, pass, type, shape);
    const Bound call = who.bind(operands.view());
    if (computes_all) {
      const std::string error = operands.check(call.once);
      if (!error.empty()) {
        state.SkipWithError(error.c_str());
        return;
      }
    }
    call.timed(state);
    state.SetBytesProcessed(state.iterations() * operands.bytes_moved());
    state.SetLabel(label(shape));
  });
}

/// What a program measures for one operation. `partial` are candidates that compute less than the check asks
/// for.
struct Contest {
  Norm norm;
  Pass pass;
  std::vector<Candidate> all, partial;
  Type type = Type::float32;
};

/// What is registered, pinned to one CPU; the exit status of the program.
inline int run_registered(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  pin_to_one_cpu();
  benchmark::AddCustomContext("cpu", cpu_model());
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::AddCustomContext("instruction_set", instruction_set());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

inline int run_program(int argc, char** argv, const std::vector<Contest>& contests) {
  for (const Contest& contest : contests) {
    for (const Shape& shape : all_shapes()) {
      const auto add = [&](const Candidate& who, bool computes_all) {
        register_one(contest.norm, contest.pass, contest.type, shape, who, computes_all);
      };
      add(memcpy_of(contest.pass), false);
      for (const Candidate& who : contest.all) add(who, true);
      for (const Candidate& who : contest.partial) add(who, false);
    }
  }
  return run_registered(argc, argv);
}

}  // namespace bench
