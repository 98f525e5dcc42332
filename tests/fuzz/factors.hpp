// What a branch is multiplied with, in the programs that have one.
#pragma once

#include "fuzz/fusions_fuzz.hpp"

namespace fuzz {

struct Factors {
  Parameter bias, layer_scale;
  Values row_scale;
  const float* rows;
  simdnorm::Dropout dropout;

  explicit Factors(Case& c)
      : bias(c.parameter("bias")),
        layer_scale(c.parameter("layer_scale")),
        dropout{c.input.one_of({0.0, 0.3, 0.999}), static_cast<std::uint64_t>(c.input.between(0, 9)),
                static_cast<std::uint32_t>(c.input.between(0, 9)),
                c.input.one_of({Index{0}, Index{5}, Index{1} << 33})} {
    for (Index r = 0; r < c.shape.rows; ++r) row_scale.push_back(c.input.one_of({1.0F, 0.0F, 1.25F, -3e30F}));
    rows = c.array("row_scale", row_scale);
    c.fault("probability", [this] { dropout.probability = 1; });
    c.fault("row_scale missing", [this] { rows = nullptr; });
  }
  float mask(const Case& c, std::size_t i) const {
    return fusion::mask_of<float>(dropout, static_cast<Index>(c.row_of(i)),
                                  static_cast<Index>(c.column_of(i)));
  }
};

}  // namespace fuzz
