// Forward and backward of rows in bfloat16, fp16 and to int8, on every shape: the candidates of the table, and int8 in two
// steps.
#include "support/program.hpp"
#include "support/typed_operations.hpp"

namespace {

using namespace bench;

Candidate in_two_steps(Norm norm) {
  return candidate("simdnorm_then_quantize", [norm](const View& v) {
    return [v, norm, codes = static_cast<std::int8_t*>(v.stored.y)] {
      const simdnorm::RowShape shape{v.rows, v.hidden};
      if (norm == Norm::layer) {
        simdnorm::layer_norm_forward(shape, v.x, v.gamma, v.beta, v.epsilon, v.y);
      } else {
        simdnorm::rms_norm_forward(shape, v.x, v.gamma, v.epsilon, v.y);
      }
      simdnorm::quantize(shape, v.y, simdnorm::per_token(codes, v.scales));
    };
  });
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Contest> contests;
  for (const TypedOperation& operation : typed_operations) {
    contests.push_back({operation.norm, operation.pass, operation.candidates(), {}, operation.type});
    if (operation.type == Type::int8) contests.back().all.push_back(in_two_steps(operation.norm));
  }
  return run_program(argc, argv, contests);
}
