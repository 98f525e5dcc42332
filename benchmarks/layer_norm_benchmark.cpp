// LayerNorm, forward and backward, on every shape: the candidates of the table, and simdnorm called in other
// ways.
#include "support/program.hpp"

namespace {

using namespace bench;

std::vector<Candidate> forward() {
  std::vector<Candidate> all = candidates<Norm::layer>(Pass::forward);
  all.push_back(candidate("simdnorm_pointers", [](const View& v) {
    return [v] { simdnorm::layer_norm_forward({v.rows, v.hidden}, v.x, v.gamma, v.beta, v.epsilon, v.y); };
  }));
  all.push_back(candidate("simdnorm_keeping_moments", [](const View& v) {
    return [functor = layer_norm_of(v), x = In(v.x, v.rows, v.hidden), y = Out(v.y, v.rows, v.hidden),
            moments = std::make_shared<simdnorm::Moments<float>>()] { functor.forward(x, y, *moments); };
  }));
  return all;
}

std::vector<Candidate> backward() {
  std::vector<Candidate> all = candidates<Norm::layer>(Pass::backward);
  all.push_back(candidate("simdnorm_pointers", [](const View& v) {
    simdnorm::GradientOptions options;
    options.workspace = v.workspace->reserve({v.rows, v.hidden});
    return [v, options] {
      simdnorm::layer_norm_backward({v.rows, v.hidden}, v.dy, v.x, v.gamma, v.moments->data(), v.dx, v.dgamma,
                                    v.dbeta, options);
    };
  }));
  return all;
}

Candidate backward_for_dx() {
  return candidate("simdnorm_dx_alone", [](const View& v) {
    return [v, functor = layer_norm_of(v), dy = In(v.dy, v.rows, v.hidden), x = In(v.x, v.rows, v.hidden),
            dx = Out(v.dx, v.rows, v.hidden)] { functor.backward(dy, x, *v.moments, dx); };
  });
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(argc, argv,
                     {{Norm::layer, Pass::forward, forward(), {}},
                      {Norm::layer, Pass::backward, backward(), {backward_for_dx()}}});
}
