// The operations in other types than float that are measured (the table's shapes of them: typed_table). A header of its own,
// because a program that includes it compiles all of them.
#pragma once

#include "candidates.hpp"

namespace bench {

struct TypedOperation {
  Norm norm;
  Pass pass;
  Type type;
  std::vector<Candidate> (*candidates)();
};
inline const TypedOperation typed_operations[] = {
    {Norm::layer, Pass::forward, Type::bfloat16, forward_candidates<Norm::layer, Eigen::bfloat16>},
    {Norm::layer, Pass::forward, Type::float16, forward_candidates<Norm::layer, Eigen::half>},
    {Norm::layer, Pass::forward, Type::int8, int8_candidates<Norm::layer>},
    {Norm::layer, Pass::backward, Type::bfloat16, backward_candidates<Norm::layer, Eigen::bfloat16>},
    {Norm::rms, Pass::forward, Type::bfloat16, forward_candidates<Norm::rms, Eigen::bfloat16>},
    {Norm::rms, Pass::forward, Type::float16, forward_candidates<Norm::rms, Eigen::half>},
    {Norm::rms, Pass::forward, Type::int8, int8_candidates<Norm::rms>},
};

}  // namespace bench
