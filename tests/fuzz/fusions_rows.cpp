// Two norms of the same rows, modulation, chosen rows of tables, and backward from y.
#include <simdnorm/modulated_norm.hpp>
#include <simdnorm/pointers.hpp>

#include "fuzz/fusions_fuzz.hpp"

namespace fuzz {
namespace {

using simdnorm::added;
using simdnorm::from_output;
using simdnorm::gathered;
using simdnorm::residual_sum;
using simdnorm::two_gradients;
using simdnorm::two_norms;

// --- two norms ---

void two_forward(Input& input) {
  Case c(input, "two_norms");
  const Values x_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), y = c.writes("y", {x}), y_2 = c.writes("y_2", {x});
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta"), gamma_2 = c.parameter("gamma_2"),
                  beta_2 = c.parameter("beta_2");
  const PlainForward plain =
      plain_forward(Norm::layer, c.shape, x_rows, gamma.values, beta.values, c.epsilon);
  y.expect(plain.y);
  y_2.expect(plain_forward(Norm::layer, c.shape, x_rows, gamma_2.values, beta_2.values, c.epsilon).y);
  RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
  Strided<const float> at_x = x.read();
  Strided<float> at_y = y.write(), at_y_2 = y_2.write();
  const float* at_gamma_2 = gamma_2.read();
  c.wrong_shape(), c.wrong_epsilon();
  c.missing("x", at_x), c.missing("y", at_y), c.missing("y_2", at_y_2);
  c.onto("y_2", at_y_2, at_y), c.array_onto("gamma_2", at_gamma_2, at_y);
  c.run([&] {
    simdnorm::layer_norm_forward(c.shape, at_x, gamma.read(), beta.read(), c.epsilon,
                                 two_norms(at_y, at_gamma_2, beta_2.read(), at_y_2), moments, c.executor());
  });
}
void two_backward(Input& input) {
  Case c(input, "two_gradients");
  const Values x_rows = c.rows(), dy_rows = c.rows(), dy_2_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows), dy_2 = c.reads("dy_2", dy_2_rows),
                    dx = c.writes("dx", {x, dy, dy_2});
  const Parameter gamma = c.parameter("gamma"), gamma_2 = c.parameter("gamma_2"),
                  dgamma = c.gradient("dgamma"), dbeta = c.gradient("dbeta"),
                  dgamma_2 = c.gradient("dgamma_2"), dbeta_2 = c.gradient("dbeta_2");
  const bool accumulate = input.coin();
  const RowsOfMoments moments = plain_forward(Norm::layer, c.shape, x_rows, {}, {}, c.epsilon).moments;
  const auto back = [&](const Values& dy_of, const Values& gamma_of, const Values& to_gamma,
                        const Values& to_beta) {
    return plain_backward(Norm::layer, c.shape, c.column, dy_of, x_rows, gamma_of, moments, to_gamma, to_beta,
                          accumulate);
  };
  const Values g = made(c.count(), [&](std::size_t i) {
    const std::size_t column = c.column_of(i);
    return plus(times(dy_rows[i], gamma.at(column, 1)), times(dy_2_rows[i], gamma_2.at(column, 1)));
  });
  dx.expect(back(g, {}, {}, {}).dx);
  const PlainBackward of_1 = back(dy_rows, gamma.values, dgamma.values, dbeta.values),
                      of_2 = back(dy_2_rows, gamma_2.values, dgamma_2.values, dbeta_2.values);
  dgamma.expect(of_1.dgamma), dbeta.expect(of_1.dbeta);
  dgamma_2.expect(of_2.dgamma), dbeta_2.expect(of_2.dbeta);
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  Strided<const float> at_x = x.read(), at_dy = dy.read(), at_dy_2 = dy_2.read();
  Strided<float> at_dx = dx.write();
  float *at_dgamma_2 = dgamma_2.write(), *at_dbeta_2 = dbeta_2.write();
  const float* at_gamma_2 = gamma_2.read();
  c.wrong_shape();
  c.missing("x", at_x), c.missing("dy", at_dy), c.missing("dy_2", at_dy_2), c.missing("dx", at_dx);
  c.array_onto("gamma_2", at_gamma_2, at_dx), c.array_onto("dgamma_2", at_dgamma_2, at_dx);
  c.array_onto("dbeta_2", at_dbeta_2, at_dx);
  c.run([&] {
    simdnorm::layer_norm_backward(c.shape, two_gradients(at_dy, at_gamma_2, at_dy_2, at_dgamma_2, at_dbeta_2),
                                  at_x, gamma.read(), at_moments, at_dx, dgamma.write(), dbeta.write(),
                                  {accumulate, nullptr}, c.executor());
  });
}

// --- modulation ---

// Arrays (items, hidden), in a wider matrix, or nullptr.
struct ItemArrays {
  Held<float>* held = nullptr;
  Values rows;  // empty for nullptr
  Index outer = 0;
  Places at{};

  ItemArrays(Case& c, const char* name, Index items, bool is_written) {
    if (c.input.between(0, 3) == 0) return;
    at = {{items, c.shape.hidden}, c.shape.hidden + (c.input.coin() ? 0 : c.input.between(0, 9)), 1};
    rows = is_written ? Values(size(items * c.shape.hidden), c.input.coin() ? 1.25F : c.input.number<float>())
                      : c.rows_of(items);
    held = &c.written(name, at.spread(rows));
  }
  Strided<float> write() const { return {held == nullptr ? nullptr : held->memory.data(), at.outer, 1}; }
  Strided<const float> read() const { return {held == nullptr ? nullptr : held->memory.data(), at.outer, 1}; }
  void expect(const Values& sums) const {
    if (held == nullptr) return;
    for (Index i = 0; i < at.shape.rows; ++i)
      for (Index c = 0; c < at.shape.hidden; ++c)
        held->expected[size(at.of(i, c))] = sums[size(i * at.shape.hidden + c)];
  }
};
// The rows of one item, and back.
Values of_item(const Values& rows, Index items, Index item) {
  const auto count = static_cast<std::ptrdiff_t>(rows.size()) / items;
  return {rows.begin() + item * count, rows.begin() + (item + 1) * count};
}
void append(Values& rows, const Values& more) { rows.insert(rows.end(), more.begin(), more.end()); }

struct Items {
  Index count;
  RowShape shape;
  explicit Items(Case& c) : count(c.input.between(1, 5)) {
    if (c.shape.rows / c.shape.after % count != 0) count = 1;
    shape = {c.shape.rows / count, c.shape.hidden, c.shape.after};
    call_in_words += ", items " + std::to_string(count);
    c.fault("items", [this, &c] { count = c.input.coin() ? -1 : c.shape.rows + 1; });
  }
  // 1 + scale, as gamma.
  Values gamma(const ItemArrays& scale, Index item) const {
    Values out = scale.held == nullptr ? Values() : of_item(scale.rows, count, item);
    for (float& value : out) value = plus(1.0F, value);
    return out;
  }
};

void modulated_forward(Input& input) {
  Case c(input, "modulated");
  Items items(c);
  const Values x_rows = c.rows(), residual_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), residual = c.reads("residual", residual_rows),
                    sum = c.writes("sum", {x, residual}), y = c.writes("y", {x, residual});
  const ItemArrays scale(c, "scale", items.count, false), shift(c, "shift", items.count, false);
  const Values sum_rows = made(c.count(), [&](std::size_t i) { return plus(residual_rows[i], x_rows[i]); });
  PlainForward all;
  for (Index i = 0; i < items.count; ++i) {
    const PlainForward one =
        plain_forward(Norm::layer, items.shape, of_item(sum_rows, items.count, i), items.gamma(scale, i),
                      shift.held == nullptr ? Values() : of_item(shift.rows, items.count, i), c.epsilon);
    append(all.y, one.y);
    all.moments.insert(all.moments.end(), one.moments.begin(), one.moments.end());
  }
  sum.expect(sum_rows), y.expect(all.y);
  RowMoments<float>* const moments = c.moments(all.moments).memory.data();
  Strided<const float> at_x = x.read(), at_residual = residual.read(), at_scale = scale.read(),
                       at_shift = shift.read();
  Strided<float> at_sum = sum.write(), at_y = y.write();
  c.wrong_epsilon();
  c.missing("x", at_x), c.missing("residual", at_residual), c.missing("sum", at_sum), c.missing("y", at_y);
  c.onto("y", at_y, at_sum), c.onto("scale", at_scale, at_y), c.onto("shift", at_shift, at_sum);
  c.run([&] {
    simdnorm::modulated_layer_norm_forward(c.shape, items.count, residual_sum(at_x, at_residual, at_sum),
                                           at_scale, at_shift, c.epsilon, at_y, moments, c.executor());
  });
}
void modulated_backward(Input& input) {
  Case c(input, "modulated gradients");
  Items items(c);
  const Values x_rows = c.rows(), dy_rows = c.rows(), addend_rows = c.rows();
  const Rows<float> x = c.reads("x", x_rows), dy = c.reads("dy", dy_rows),
                    addend = c.reads("addend", addend_rows), dx = c.writes("dx", {x, dy, addend});
  const ItemArrays scale(c, "scale", items.count, false), dscale(c, "dscale", items.count, true),
      dshift(c, "dshift", items.count, true);
  const bool accumulate = input.coin();
  const RowsOfMoments moments = plain_forward(Norm::layer, c.shape, x_rows, {}, {}, c.epsilon).moments;
  const auto part = [&](const ItemArrays& arrays, Index i) {
    return arrays.held == nullptr ? Values() : of_item(arrays.rows, items.count, i);
  };
  Values dx_rows, dscales, dshifts;
  for (Index i = 0; i < items.count; ++i) {
    const RowsOfMoments own(moments.begin() + i * items.shape.rows,
                            moments.begin() + (i + 1) * items.shape.rows);
    const PlainBackward one = plain_backward(
        Norm::layer, items.shape, c.column, of_item(dy_rows, items.count, i), of_item(x_rows, items.count, i),
        items.gamma(scale, i), own, part(dscale, i), part(dshift, i), accumulate);
    append(dx_rows, one.dx), append(dscales, one.dgamma), append(dshifts, one.dbeta);
  }
  dx.expect(made(c.count(), [&](std::size_t i) { return plus(addend_rows[i], dx_rows[i]); }));
  dscale.expect(dscales), dshift.expect(dshifts);
  const RowMoments<float>* const at_moments = c.array("moments", moments);
  Strided<const float> at_x = x.read(), at_dy = dy.read(), at_addend = addend.read(), at_scale = scale.read();
  Strided<float> at_dx = dx.write(), at_dscale = dscale.write(), at_dshift = dshift.write();
  c.missing("x", at_x), c.missing("dy", at_dy), c.missing("addend", at_addend), c.missing("dx", at_dx);
  c.onto("scale", at_scale, at_dx), c.onto("dscale", at_dscale, at_dx), c.onto("dshift", at_dshift, at_dx);
  c.run([&] {
    simdnorm::modulated_layer_norm_backward(c.shape, items.count, at_dy, at_x, at_scale, at_moments,
                                            added(at_addend, at_dx), at_dscale, at_dshift,
                                            {accumulate, nullptr}, c.executor());
  });
}

// --- chosen rows of tables ---

struct Chosen {
  std::vector<std::int32_t> rows;  // as they are chosen
  Held<std::int32_t>* held;
  Chosen(Case& c, const char* name, Index table_rows, bool is_ascending) {
    Index next = 0;
    for (Index r = 0; r < c.shape.rows; ++r) {
      const Index last = table_rows - c.shape.rows + r;  // leaves a row for each that follows
      next = is_ascending ? c.input.between(next, last) : c.input.between(0, table_rows - 1);
      rows.push_back(static_cast<std::int32_t>(next++));
    }
    held = &c.written(name, rows);
  }
  const std::int32_t* data() const { return held->memory.data(); }
  Values of(const Values& table, Index hidden) const {
    Values out;
    for (std::int32_t row : rows)
      out.insert(out.end(), table.begin() + row * hidden, table.begin() + (row + 1) * hidden);
    return out;
  }
  // A table of which these rows are others.
  Values with(Values table, const Values& values, Index hidden) const {
    for (std::size_t r = 0; r < rows.size(); ++r)
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(r) * hidden, hidden,
                  table.begin() + rows[r] * hidden);
    return table;
  }
};

// RMSNorm of chosen rows to chosen rows, forward and backward. x: of forward, and of backward; from: x, or dy; to: y, or dx.
void chosen_rows(Input& input) {
  const bool is_forward = input.coin(), is_in_place = input.coin();
  Case c(input, is_forward ? "gathered" : "gathered gradients", false);
  call_in_words += is_in_place ? ", in place" : "";
  const Index hidden = c.shape.hidden, from_rows = c.shape.rows + input.between(0, 5),
              to_rows = is_in_place ? from_rows : c.shape.rows + input.between(0, 5);
  const Values from_table = c.rows_of(from_rows), x_table = c.rows_of(to_rows);
  Chosen to(c, "numbers", to_rows, true), others(c, "other numbers", from_rows, false);
  Chosen& from = is_in_place ? to : others;
  Rows<float> source = c.reads(is_forward ? "x" : "dy", from_table), x = c.reads("x of backward", x_table),
              result = source;
  if (!is_in_place) result = c.reads(is_forward ? "y" : "dx", c.rows_of(to_rows));
  Values before;
  for (Index r = 0; r < to_rows; ++r)
    for (Index k = 0; k < hidden; ++k)
      before.push_back(result.held->memory[size(result.offset + result.at.of(r, k))]);
  const Parameter gamma = c.parameter("gamma"), dgamma = is_forward ? Parameter() : c.gradient("dgamma");
  const bool accumulate = input.coin();
  const Values read = from.of(from_table, hidden), x_rows = is_forward ? read : to.of(x_table, hidden);
  const PlainForward plain = plain_forward(Norm::rms, c.shape, x_rows, gamma.values, {}, c.epsilon);
  PlainBackward back;
  if (!is_forward)
    back = plain_backward(Norm::rms, c.shape, c.column, read, x_rows, gamma.values, plain.moments,
                          dgamma.values, {}, accumulate);
  result.expect(to.with(before, is_forward ? plain.y : back.dx, hidden));
  dgamma.expect(back.dgamma);

  Strided<const float> at_source = source.read(), at_x = x.read();
  Strided<float> at_result = result.write();
  c.wrong_shape();
  c.missing("table", at_source), c.missing("result", at_result);
  if (is_forward) {
    c.wrong_epsilon();
  } else {
    c.missing("x", at_x);
  }
  const auto put = [&](const char* name, Chosen& chosen, std::int32_t number) {
    c.fault(name, [&chosen, number] { chosen.held->memory.back() = chosen.held->before.back() = number; });
  };
  put("number too large", from, static_cast<std::int32_t>(from_rows));
  put("number too small", to, -1);
  if (c.shape.rows > 1) put("numbers do not ascend", to, to.rows[size(c.shape.rows) - 2]);
  const auto chosen_source = [&] { return gathered(at_source, from_rows, from.data()); };
  const auto chosen_result = [&] { return gathered(at_result, to_rows, to.data()); };
  if (is_forward) {
    RowMoments<float>* const moments = c.moments(plain.moments).memory.data();
    c.run([&] {
      simdnorm::rms_norm_forward(c.shape, chosen_source(), gamma.read(), c.epsilon, chosen_result(), moments,
                                 c.executor());
    });
  } else {
    const RowMoments<float>* const moments = c.array("moments", plain.moments);
    c.run([&] {
      simdnorm::rms_norm_backward(c.shape, chosen_source(), gathered(at_x, to_rows, to.data()), gamma.read(),
                                  moments, chosen_result(), dgamma.write(), {accumulate, nullptr},
                                  c.executor());
    });
  }
}

// --- backward from y ---

void backward_from_output(Input& input) {
  Case c(input, "from_output");
  const Values x_rows = c.rows(), dy_rows = c.rows();
  const Parameter gamma = c.parameter("gamma"), beta = c.parameter("beta"), dgamma = c.gradient("dgamma"),
                  dbeta = c.gradient("dbeta");
  const bool accumulate = input.coin();
  double least = input.one_of({1e-5, 0.125, 1e-30});
  const PlainForward plain =
      plain_forward(Norm::layer, c.shape, x_rows, gamma.values, beta.values, c.epsilon);
  const Rows<float> y = c.reads("y", plain.y), dy = c.reads("dy", dy_rows), dx = c.writes("dx", {y, dy});
  const Values xhat = made(c.count(), [&](std::size_t i) {
    const float by = gamma.at(c.column_of(i), 1), smallest = static_cast<float>(least);
    const float divisor = std::abs(by) < smallest ? std::copysign(smallest, by < 0 ? -1.0F : 1.0F) : by;
    return plus(plain.y[i], -beta.at(c.column_of(i), 0)) / divisor;
  });
  const RowsOfMoments normalized(plain.moments.size(), {0, 0, 1, 1});
  const PlainBackward back = plain_backward(Norm::layer, c.shape, c.column, dy_rows, xhat, gamma.values,
                                            normalized, dgamma.values, dbeta.values, accumulate);
  dx.expect(made(c.count(), [&](std::size_t i) {
    const RowMoments<float>& row = plain.moments[c.row_of(i)];
    return times(times(back.dx[i], row.rstd), row.scale);
  }));
  dgamma.expect(back.dgamma), dbeta.expect(back.dbeta);
  const RowMoments<float>* const moments = c.array("moments", plain.moments);
  Strided<const float> at_y = y.read(), at_dy = dy.read();
  Strided<float> at_dx = dx.write();
  const float* at_beta = beta.read();
  c.wrong_shape();
  c.missing("y", at_y), c.missing("dy", at_dy), c.missing("dx", at_dx);
  c.array_onto("beta", at_beta, at_dx);
  c.fault("least_gamma", [&] { least = 0; });
  c.run([&] {
    simdnorm::layer_norm_backward(c.shape, at_dy, from_output(at_y, at_beta, least), gamma.read(), moments,
                                  at_dx, dgamma.write(), dbeta.write(), {accumulate, nullptr}, c.executor());
  });
}

}  // namespace

void fuzz_two_norms(Input& input) { input.coin() ? two_forward(input) : two_backward(input); }
void fuzz_modulated(Input& input) { input.coin() ? modulated_forward(input) : modulated_backward(input); }
void fuzz_gathered(Input& input) { chosen_rows(input); }
void fuzz_from_output(Input& input) { backward_from_output(input); }

}  // namespace fuzz
