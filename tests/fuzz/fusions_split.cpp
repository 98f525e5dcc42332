// Rows in parts: of one part the bits of the undivided call, of several its bounds; and rotary embeddings.
#include <simdnorm/pointers.hpp>
#include <simdnorm/split_norm.hpp>

#include "fuzz/fusions_fuzz.hpp"

namespace fuzz {
namespace {

using simdnorm::Rotary;
using simdnorm::RotaryPairs;

// --- rotary embeddings ---

// A rotation of the rows of a call by tables of any numbers.
template <RotaryPairs pairs> struct Turns {
  std::vector<float> cosines, sines;
  std::vector<std::int32_t> positions;
  Rotary<pairs> rotary{};
  Index stride;

  explicit Turns(Case& c) {
    Input& input = c.input;
    const Index half = input.between(1, c.shape.hidden / 2), tokens_most = c.shape.rows;
    const Index length = input.between(1, 9);
    rotary.dim = 2 * half;
    rotary.length = length;
    stride = half + (input.coin() ? 0 : input.between(0, 3));
    rotary.stride = stride == half && input.coin() ? 0 : stride;
    rotary.heads = input.between(1, 4);
    if (tokens_most % rotary.heads != 0) rotary.heads = 1;
    support::Random random(size(input.between(0, 255)));
    const Index numbers_of = (length - 1) * stride + half;
    for (Index i = 0; i < numbers_of; ++i) {
      cosines.push_back(static_cast<float>(random.uniform()));
      sines.push_back(static_cast<float>(random.uniform()));
    }
    if (input.between(0, 3) == 0) cosines[size(input.between(0, numbers_of - 1))] = input.number<float>();
    rotary.cosines = c.array("cosines", cosines);
    rotary.sines = c.array("sines", sines);
    if (input.coin()) {
      for (Index t = 0; t < c.shape.rows / rotary.heads; ++t)
        positions.push_back(static_cast<std::int32_t>(input.between(0, length - 1)));
      Held<std::int32_t>& held = c.written("positions", positions);
      rotary.positions = held.memory.data();
      c.fault("position", [&held, length] {
        held.memory.back() = held.before.back() = static_cast<std::int32_t>(length);
      });
    } else {
      rotary.tokens = input.between(1, length);
      c.fault("tokens", [this] { rotary.tokens = 0; });
    }
    call_in_words += ", dim " + std::to_string(rotary.dim) + ", heads " + std::to_string(rotary.heads);
    c.fault("dim odd", [this] { ++rotary.dim; });
    c.fault("heads", [this] { rotary.heads = 0; });
    c.fault("sines missing", [this] { rotary.sines = nullptr; });
  }
  // Rows (rows, hidden), by the definition.
  Values turned(const Case& c, Values rows, bool back) const {
    for (Index r = 0; r < c.shape.rows; ++r) {
      const Index token = r / rotary.heads;
      const Index position = positions.empty() ? token % rotary.tokens : positions[size(token)];
      for (Index i = 0; i < rotary.dim / 2; ++i) {
        const float cosine = cosines[size(position * stride + i)];
        const float sine = back ? -sines[size(position * stride + i)] : sines[size(position * stride + i)];
        const bool halves = pairs == RotaryPairs::halves;
        float& a = rows[size(r * c.shape.hidden + (halves ? i : 2 * i))];
        float& b = rows[size(r * c.shape.hidden + (halves ? i + rotary.dim / 2 : 2 * i + 1))];
        const float first = plus(times(a, cosine), -times(b, sine));
        b = plus(times(b, cosine), times(a, sine));
        a = first;
      }
    }
    return rows;
  }
};

void rotary_forward(Input& input) {
  Case c(input, "rotated");
  if (c.shape.hidden < 2) return;
  const Values x_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), y = c.writes("y", {x});
  const Parameter gamma = c.parameter("gamma");
  Turns<RotaryPairs::interleaved> turns(c);
  const PlainForward plain = plain_forward(Norm::rms, c.shape, x_rows, gamma.values, {}, c.epsilon);
  y.expect(turns.turned(c, plain.y, false));
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read();
  Strided<float> at_y = y.write();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("y", at_y);
  c.array_onto("cosines", turns.rotary.cosines, at_y);
  c.run([&] {
    simdnorm::rms_norm_forward(c.shape, at_x, gamma.read(), c.epsilon, simdnorm::rotated(at_y, turns.rotary),
                               moments, c.executor());
  });
}
void rotary_backward(Input& input) {
  Case c(input, "unrotated");
  if (c.shape.hidden < 2) return;
  const Values x_rows = c.rows(), dy_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows), dx = c.writes("dx", {x});
  const Parameter gamma = c.parameter("gamma"), dgamma = c.gradient("dgamma"), dbeta = c.gradient("dbeta");
  Turns<RotaryPairs::halves> turns(c);
  const bool accumulate = input.coin();
  const RowsOfMoments moments = plain_forward(Norm::layer, c.shape, x_rows, {}, {}, c.epsilon).moments;
  if (c.shape.hidden > simdnorm::unrotated_limit) return;
  const PlainBackward back =
      plain_backward(Norm::layer, c.shape, c.column, turns.turned(c, dy_rows, true), x_rows, gamma.values,
                     moments, dgamma.values, dbeta.values, accumulate);
  dx.expect(back.dx), dgamma.expect(back.dgamma), dbeta.expect(back.dbeta);
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  Strided<const float> at_x = x.read(), at_dy = dy.read();
  Strided<float> at_dx = dx.write();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("dy", at_dy), c.missing("dx", at_dx);
  c.onto("dx", at_dx, at_dy), c.array_onto("sines", turns.rotary.sines, at_dx);
  c.run([&] {
    simdnorm::layer_norm_backward(c.shape, simdnorm::unrotated(at_dy, turns.rotary), at_x, gamma.read(),
                                  at_moments, at_dx, dgamma.write(), dbeta.write(), {accumulate, nullptr},
                                  c.executor());
  });
}

// --- rows in parts ---

using Record = simdnorm::LayerNormPartial<float>;
using GradientRecord = simdnorm::LayerNormGradientPartial<float>;

// The rows of a problem whose |mean| is at most 1e7 deviations, as far as results are bounded; all of them are finite.
support::Problem<float> bounded(const support::Problem<float>& p, std::vector<Index>& chosen) {
  support::Problem<float> out = p;
  out.x.clear(), out.dy.clear(), out.rows = 0;
  for (Index r = 0; r < p.rows; ++r) {
    if (!all_finite(p.row(r), p.hidden) || !std::isfinite(p.epsilon)) continue;
    const oracle::Statistics s = oracle::statistics(Norm::layer, p.row(r), p.hidden, p.epsilon);
    const quad mean = oracle::abs(s.mean), largest = wide(1e7);
    if (mean * mean > largest * largest * (s.variance + wide(p.epsilon))) continue;
    chosen.push_back(r);
    ++out.rows;
    out.x.insert(out.x.end(), p.row(r), p.row(r) + p.hidden);
    out.dy.insert(out.dy.end(), p.dy_row(r), p.dy_row(r) + p.hidden);
  }
  return out;
}
template <class U>
std::vector<U> of_rows(const std::vector<U>& all, const std::vector<Index>& chosen, Index each) {
  std::vector<U> out;
  for (Index r : chosen) out.insert(out.end(), all.begin() + r * each, all.begin() + (r + 1) * each);
  return out;
}

void parts(Input& input) {
  Case c(input, "parts");
  const RowShape shape = c.shape;
  std::vector<Index> widths;
  Index left = shape.hidden;
  for (Index more = input.between(0, 3); more > 0 && left > 1; --more) {
    widths.push_back(input.between(1, left - 1));
    left -= widths.back();
  }
  widths.push_back(left);
  const Index count = static_cast<Index>(widths.size());
  call_in_words += ", parts " + std::to_string(count);
  support::Problem<float> p;
  p.rows = shape.rows, p.hidden = shape.hidden, p.epsilon = c.epsilon;
  p.x = c.rows(), p.dy = c.rows();
  const bool has_gamma = input.coin(), has_beta = input.coin(), accumulate = input.coin();
  p.gamma = has_gamma ? c.rows_of(1) : Values();
  p.beta = has_beta ? c.rows_of(1) : Values();
  const Values start(size(shape.hidden), accumulate ? 1.25F : 7.0F);
  const Places at = c.places(shape.rows);
  const Values x = at.spread(p.x), dy = at.spread(p.dy);
  const Values untouched = support::unwritten_array<float>(at.extent());
  Values x_in_place = x, dy_in_place = dy, y = untouched, dx = untouched, dgamma = start, dbeta = start;
  const bool is_in_place = input.coin();
  Values& y_on = is_in_place ? x_in_place : y;
  Values& dx_on = is_in_place ? dy_in_place : dx;
  const auto from = [](const auto& rows, Index first) {
    return std::decay_t<decltype(rows)>{rows.data + first * rows.column, rows.outer, rows.column};
  };
  const auto array = [](const auto& values, Index first) {
    return values.empty() ? nullptr : values.data() + first;
  };
  const auto each = [&](const auto& f) {
    Index first = 0;
    for (Index k = 0; k < count; ++k) {
      f(k, RowShape{shape.rows, widths[size(k)], shape.after}, first);
      first += widths[size(k)];
    }
  };
  std::vector<Record> records(size(count * shape.rows));
  std::vector<GradientRecord> gradients(records.size());
  RowsOfMoments moments, of_first;
  const support::WithStreaming scope(shape.rows % 2 == 0 ? support::Streaming::always
                                                         : support::Streaming::never);
  each([&](Index k, RowShape of_part, Index first) {
    simdnorm::layer_norm_partial(of_part, from(at.read(x), first), c.epsilon, records.data() + k * shape.rows,
                                 c.executor());
  });
  each([&](Index k, RowShape of_part, Index first) {
    moments = support::no_moments<float>(shape.rows);
    simdnorm::layer_norm_apply(of_part, from(at.read(x_in_place), first), array(p.gamma, first),
                               array(p.beta, first), c.epsilon,
                               simdnorm::Parts{records.data(), widths.data(), count},
                               from(at.write(y_on), first), moments.data(), c.executor());
    if (k == 0) of_first = moments;
    expect_same("moments of another part", moments, of_first);
  });
  each([&](Index k, RowShape of_part, Index first) {
    simdnorm::layer_norm_gradient_partial(of_part, from(at.read(dy), first), from(at.read(x), first),
                                          array(p.gamma, first), moments.data(),
                                          gradients.data() + k * shape.rows, c.executor());
  });
  each([&](Index, RowShape of_part, Index first) {
    simdnorm::layer_norm_gradient_apply(
        of_part, from(at.read(dy_in_place), first), from(at.read(x), first), array(p.gamma, first),
        moments.data(), simdnorm::Parts{gradients.data(), widths.data(), count}, from(at.write(dx_on), first),
        dgamma.data() + first, dbeta.data() + first, {accumulate, nullptr}, c.executor());
  });
  // Nothing between the rows is written.
  expect_same("y", at.spread(at.gather(y_on)), y_on);
  expect_same("dx", at.spread(at.gather(dx_on)), dx_on);
  y = at.gather(y_on), dx = at.gather(dx_on);

  if (count == 1) {
    const PlainForward plain = plain_forward(Norm::layer, shape, p.x, p.gamma, p.beta, c.epsilon);
    const PlainBackward back = plain_backward(Norm::layer, shape, c.column, p.dy, p.x, p.gamma, plain.moments,
                                              start, start, accumulate);
    const auto expect = [](const char* name, const auto& got, const auto& right) {
      for (std::size_t i = 0; i < got.size(); ++i)
        if (!same(got[i], right[i])) fail(name, " of one part differs at ", i);
    };
    expect("moments", moments, plain.moments), expect("y", y, plain.y), expect("dx", dx, back.dx);
    expect("dgamma", dgamma, back.dgamma), expect("dbeta", dbeta, back.dbeta);
    return;
  }
  std::vector<Index> chosen;
  const support::Problem<float> judged = bounded(p, chosen);
  const Judge<float> judge(Norm::layer, judged);
  judge.forward(of_rows(y, chosen, shape.hidden), of_rows(moments, chosen, 1));
  judge.backward(of_rows(dx, chosen, shape.hidden));
  if (judged.rows == p.rows) judge.parameters(accumulate ? start : Values(), dgamma, dbeta);
}

}  // namespace

void fuzz_rotary(Input& input) { input.coin() ? rotary_forward(input) : rotary_backward(input); }
void fuzz_split(Input& input) { parts(input); }

}  // namespace fuzz
