// Attention and feed-forward on exact buffers: their kernels against plain float64 loops in every variant, whole
// layers with one thread against several; built with a sanitizer.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/draw.h"
#include "native/expect.h"
#include "ops/attention.h"
#include "ops/dispatch.h"
#include "ops/feed_forward.h"

namespace {

std::mt19937 engine(12);

std::vector<float> draw(int64_t count) { return ::draw(engine, count); }

void near(const std::vector<float>& got, const std::vector<double>& expected, const std::string& what,
          double tolerance = 1e-5) {
  double largest = 1e-30, error = 0.0;
  for (size_t e = 0; e < expected.size(); ++e) {
    largest = std::fmax(largest, std::fabs(expected[e]));
    error = std::fmax(error, std::fabs(got[e] - expected[e]));
  }
  expect(got.size() == expected.size() && error <= tolerance * largest, what);
}

size_t index(int64_t e) { return static_cast<size_t>(e); }

void test_panel_product(const dsb::Kernels& k) {
  for (const int64_t rows : {1, 5, 6, 7, 13})
    for (const int64_t columns : {16, 32, 48, 64, 80})
      for (const int64_t terms : {1, 9})
        for (const bool turned : {false, true})
          for (const dsb::Join join :
               {dsb::Join::replace, dsb::Join::lrelu, dsb::Join::add_scaled, dsb::Join::rescale}) {
            const dsb::PanelProduct p = {rows,    columns, terms, turned ? terms : 1, turned ? 1 : rows, columns,
                                         columns, join,    -0.5f};
            const std::vector<float> a = draw(rows * terms), b = draw(terms * columns), start = draw(rows);
            const std::vector<float> factors = draw(columns), before = draw(rows * columns);
            std::vector<float> out = before;
            k.panel_product(p, a.data(), b.data(), turned ? nullptr : start.data(), factors.data(), out.data());
            std::vector<double> expected;
            for (int64_t r = 0; r < rows; ++r)
              for (int64_t e = 0; e < columns; ++e) {
                double sum = turned ? 0.0 : start[index(r)];
                for (int64_t t = 0; t < terms; ++t)
                  sum += static_cast<double>(a[index(r * p.a_row + t * p.a_term)]) * b[index(t * columns + e)];
                const double old = before[index(r * columns + e)], factor = factors[index(e)];
                if (join == dsb::Join::lrelu && sum < 0.0) sum *= -0.5;
                if (join == dsb::Join::add_scaled) sum = old + sum * factor;
                if (join == dsb::Join::rescale) sum = old * factor + sum;
                expected.push_back(sum);
              }
            near(out, expected, std::string(k.name) + ": panel_product");
          }
}

void test_exp2_columns(const dsb::Kernels& k) {
  for (const int64_t columns : {16, 32, 48, 64}) {
    const int64_t rows = 7;
    std::vector<float> x = draw(2 * rows * columns), sums(index(columns), 0.0f), scale(sums.size());
    std::vector<float> largest(sums.size(), -std::numeric_limits<float>::infinity());
    for (float& v : x) v *= 40.0f;
    std::vector<double> whole(sums.size(), 0.0), weights, expected_sums;
    std::vector<float> most(sums.size(), -std::numeric_limits<float>::infinity());
    for (size_t e = 0; e < x.size(); ++e) most[e % sums.size()] = std::fmax(most[e % sums.size()], x[e]);
    for (size_t e = 0; e < x.size(); ++e) {
      weights.push_back(std::exp2(static_cast<double>(x[e]) - most[e % sums.size()]));
      whole[e % sums.size()] += weights.back();
    }
    const int64_t half = rows * columns;
    k.exp2_columns(rows, columns, x.data(), largest.data(), sums.data(), scale.data());
    k.exp2_columns(rows, columns, x.data() + half, largest.data(), sums.data(), scale.data());
    for (int64_t e = 0; e < half; ++e) x[index(e)] *= scale[index(e % columns)];
    near(x, weights, std::string(k.name) + ": exp2_columns, of two panels");
    near(sums, whole, std::string(k.name) + ": exp2_columns, sums");
    expect(largest == most, std::string(k.name) + ": exp2_columns, largest");
    std::vector<float> total(index(half), 1.0f);
    k.add_scaled_columns(rows, columns, x.data(), sums.data(), total.data());
    std::vector<double> expected;
    for (int64_t e = 0; e < half; ++e)
      expected.push_back(1.0 + static_cast<double>(x[index(e)]) * sums[index(e % columns)]);
    near(total, expected, std::string(k.name) + ": add_scaled_columns");
  }
}

float value_of(uint32_t half) {
  const uint32_t bits = half << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// [pair][columns] to [row][columns].
std::vector<float> unpaired(const std::vector<dsb::bfloat16_pair>& pairs, int64_t rows, int64_t columns) {
  std::vector<float> out;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t e = 0; e < columns; ++e) {
      const dsb::bfloat16_pair pair = pairs[index(r / 2 * columns + e)];
      out.push_back(value_of(r % 2 ? pair >> 16 : pair & 0xFFFFu));
    }
  return out;
}

void test_pairs(const dsb::Kernels& k) {
  for (const int64_t count : {1, 7, 15, 16, 17, 31, 33, 64}) {
    const std::vector<float> first = draw(count), second = draw(count);
    const int64_t columns = (count + 15) / 16 * 16, wide = (count + 31) / 32 * 32;
    for (const bool both : {false, true}) {
      std::vector<dsb::bfloat16_pair> pairs(index(columns), 1u);
      k.pair_channels(first.data(), both ? second.data() : nullptr, count, 0.5f, -2.0f, pairs.data());
      std::vector<double> expected(index(2 * columns), 0.0);
      for (int64_t e = 0; e < count; ++e) {
        expected[index(e)] = first[index(e)] - 0.5f;
        if (both) expected[index(columns + e)] = second[index(e)] + 2.0f;
      }
      near(unpaired(pairs, 2, columns), expected, std::string(k.name) + ": pair_channels", 1.0 / 256);
    }
    std::vector<dsb::bfloat16_pair> pairs(index(wide / 2), 1u);
    k.pair_positions(first.data(), count, 0.5f, pairs.data());
    std::vector<float> got;
    for (const dsb::bfloat16_pair pair : pairs) {
      got.push_back(value_of(pair & 0xFFFFu));
      got.push_back(value_of(pair >> 16));
    }
    std::vector<double> expected(index(wide), 0.0);
    for (int64_t e = 0; e < count; ++e) expected[index(e)] = first[index(e)] - 0.5f;
    near(got, expected, std::string(k.name) + ": pair_positions", 1.0 / 256);
  }
  for (const int64_t count : {1, 63, 64, 65, 1000}) {
    std::vector<float> x = draw(count);
    double sum = 0.0;
    for (float& v : x) sum += v += 3.0f;
    near({k.plane_centre(x.data(), count)}, {sum / static_cast<double>(count)}, std::string(k.name) + ": plane_centre");
    x.back() = std::numeric_limits<float>::infinity();
    expect(k.plane_centre(x.data(), count) == 0.0f, std::string(k.name) + ": plane_centre, not finite");
  }
}

void test_products_bf16(const dsb::Kernels& k) {
  for (const int64_t rows : {1, 5, 6, 13})
    for (const int64_t columns : {16, 48, 80})
      for (const int64_t terms : {1, 9}) {
        const int64_t whole = (rows + 15) / 16 * 16, pairs = (terms + 1) / 2;
        std::vector<float> a = draw(terms * whole), b = draw(terms * columns);
        std::vector<dsb::bfloat16_pair> a_pairs(index(pairs * whole)), b_pairs(index(pairs * columns));
        for (int64_t t = 0; t < terms; t += 2) {
          const bool both = t + 1 < terms;
          k.pair_bf16(a.data() + t * whole, both ? a.data() + (t + 1) * whole : nullptr, index(whole),
                      a_pairs.data() + t / 2 * whole);
          k.pair_bf16(b.data() + t * columns, both ? b.data() + (t + 1) * columns : nullptr, index(columns),
                      b_pairs.data() + t / 2 * columns);
        }
        a = unpaired(a_pairs, terms, whole), b = unpaired(b_pairs, terms, columns);
        const dsb::PanelProduct p = {rows, columns, pairs, 1, whole, columns, columns};
        std::vector<float> out(index(rows * columns));
        k.panel_product_bf16(p, a_pairs.data(), b_pairs.data(), nullptr, nullptr, out.data());
        std::vector<double> expected;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t e = 0; e < columns; ++e) {
            double sum = 0.0;
            for (int64_t t = 0; t < terms; ++t)
              sum += static_cast<double>(a[index(t * whole + r)]) * b[index(t * columns + e)];
            expected.push_back(sum);
          }
        near(out, expected, std::string(k.name) + ": panel_product_bf16");
      }
}

void test_exp2_columns_bf16(const dsb::Kernels& k) {
  for (const int64_t columns : {16, 48, 64, 80})
    for (const int64_t rows : {1, 6, 7}) {
      std::vector<float> x = draw(rows * columns), sums(index(columns), 0.0f), scale(sums.size());
      for (float& v : x) v *= 40.0f;
      std::vector<float> largest(sums.size(), -std::numeric_limits<float>::infinity());
      std::vector<dsb::bfloat16_pair> pairs(index((rows + 1) / 2 * columns));
      k.exp2_columns_bf16(rows, columns, x.data(), largest.data(), sums.data(), scale.data(), pairs.data());
      std::vector<double> weights, whole(sums.size(), 0.0);
      const std::vector<float> got = unpaired(pairs, (rows + 1) / 2 * 2, columns);
      for (size_t e = 0; e < got.size(); ++e) {
        const size_t c = e % sums.size();
        weights.push_back(e < x.size() ? std::exp2(static_cast<double>(x[e]) - largest[c]) : 0.0);
        whole[c] += got[e];
      }
      near(got, weights, std::string(k.name) + ": exp2_columns_bf16", 1.0 / 230);
      near(sums, whole, std::string(k.name) + ": exp2_columns_bf16, sums of what is rounded");
    }
}

struct Sizes {
  int64_t channels, heads, features, values, out;
};

void test_layers() {
  for (const Sizes& s : {Sizes{1, 1, 1, 1, 1}, Sizes{17, 5, 16, 3, 6}, Sizes{7, 2, 33, 17, 18}})
    for (const int64_t positions : {1, 15, 16, 17, 63, 64, 65, 300, 1100})
      for (const int kind : {0, 1, 2, 3}) {
        const bool gelu = kind % 2 != 0, bfloat16 = kind > 1;
        const std::vector<float> to_q = draw(s.heads * s.features * s.channels),
                                 to_k = draw(s.heads * s.features * s.channels);
        const std::vector<float> to_v = draw(s.heads * s.values * s.channels),
                                 to_out = draw(s.out * s.heads * s.values);
        const std::vector<float> q_bias = draw(s.heads * s.features), v_bias = draw(s.heads * s.values),
                                 bias = draw(s.out);
        const std::vector<float> x = draw(3 * s.channels * positions), source = draw(3 * s.channels * positions);
        const std::vector<float> residual = draw(3 * s.out * positions);
        const dsb::AttentionSpec spec = {s.channels, s.heads, s.features, s.values, s.out,   0.5f,
                                         0.7f,       0.3f,    2.0f,       gelu,     bfloat16};
        const dsb::Attention layer(
            spec, {to_q.data(), q_bias.data(), to_k.data(), to_v.data(), v_bias.data(), to_out.data(), bias.data()});
        const std::vector<float> w1 = draw(s.features * s.out), w2 = draw(s.channels * s.features);
        const dsb::FeedForward next({s.out, s.features, s.channels, 0.2f, 0.5f, bfloat16}, w1.data(), nullptr,
                                    w2.data(), nullptr);
        std::vector<float> expected, last;
        for (const unsigned threads : {1u, 2u, 5u}) {
          std::vector<float> out(residual.size()), made(x.size());
          layer.run(x.data(), source.data(), residual.data(), {3, s.channels, 1, positions}, threads, out.data());
          next.run(out.data(), x.data(), {3, s.out, 1, positions}, threads, made.data());
          if (expected.empty()) expected = out, last = made;
          expect(out == expected && made == last, "attention and feed-forward: threads");
          std::vector<float> one(index(s.out * positions));
          layer.run(x.data() + s.channels * positions, source.data() + s.channels * positions,
                    residual.data() + s.out * positions, {1, s.channels, 1, positions}, threads, one.data());
          expect(std::vector<float>(out.begin() + s.out * positions, out.begin() + 2 * s.out * positions) == one,
                 "attention: a sample alone");
        }
        for (const float v : expected) expect(std::isfinite(v), "attention: a number");
      }
}

void test_refusals() {
  const float one = 1.0f;
  for (int64_t size = 0; size < 5; ++size) {
    int64_t s[] = {1, 1, 1, 1, 1};
    s[size] = 0;
    bool refused = false;
    try {
      const dsb::AttentionSpec spec = {s[0], s[1], s[2], s[3], s[4]};
      dsb::Attention(spec, {&one, &one, &one, &one, &one, &one, &one});
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    expect(refused, "attention: a size of 0");
  }
  expect(dsb::Attention::packed_size({1 << 20, 1 << 20, 1 << 20, 1, 1}) > (int64_t{1} << 40), "a size that is told");
}

}  // namespace

void run_attention_tests() {
  for (const dsb::Variant& variant : dsb::variants()) {
    if (!variant.available) continue;
    test_panel_product(dsb::kernels(variant.name));
    test_exp2_columns(dsb::kernels(variant.name));
    test_pairs(dsb::kernels(variant.name));
    test_products_bf16(dsb::kernels(variant.name));
    test_exp2_columns_bf16(dsb::kernels(variant.name));
  }
  test_layers();
  test_refusals();
}
