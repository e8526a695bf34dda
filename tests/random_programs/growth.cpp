// The growth of a program: streams of one shape that are transformed, joined, and read by others.
#include <algorithm>
#include <cmath>

#include "tests/random_programs/generator.hpp"

namespace rapt::programs {

void Generator::start_streams() {
  const int64_t rank = one_of({1, 2, 2, 2, 3, 3});
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(dim());
  if (chance(0.03)) dims[static_cast<size_t>(below(rank))] = 0;
  // Occasionally large enough for parallel steps. Less often large enough for row-wise chains and
  // parallel loops, or for a shortage of memory.
  if (chance(0.12)) {
    dims.back() = one_of({16, 33, 64, 96});
    dims[0] = rank == 1 ? 5000 : between(64, 300);
  } else if (chance(0.03)) {
    large_ = true;
    huge_ = chance(0.2);
    const int64_t elements = huge_ ? between(400000, 600000) : between(30000, 70000);
    dims.assign(dims.size(), 1);
    dims.back() = rank == 1 ? elements : one_of({32, 65, 128, 200});
    if (rank > 1) dims[0] = elements / dims.back();
    if (rank > 2 && chance(0.5)) std::swap(dims[0], dims[1]);
  }
  home_ = Shape(dims);
  real_ = huge_ || chance(0.8) ? DType::float32 : DType::float64;
  program_.training = chance(0.8);
  const int64_t count = huge_ ? 4 : one_of({1, 2, 2, 2, 3, 4});
  for (int64_t i = 0; i < count; ++i) {
    if (huge_ && i > 0) {  // parallel branches
      streams_.push_back(elementwise_of(streams_[0]));
      continue;
    }
    streams_.push_back(chance(0.5) ? parameter(home_) : leaf(home_, real_, -2, 2));
  }
}

int Generator::elementwise_of(int value) {
  static const std::vector<std::string> bounded{"tanh", "sigmoid", "sin",  "cos",
                                                "erf",  "relu",    "silu", "gelu"};
  const int64_t which = below(10);
  if (which < 6) return emit(one_of(bounded), {value});
  if (which < 8) return emit("mul_number", {value}, {between(-30, 30)}, bound(value) + 2);
  if (which < 9) return emit("add_number", {value}, {between(-30, 30)}, bound(value) + 1);
  return emit("exp", {tame(value, 2)}, {}, 4);
}

int Generator::elementwise_of(int a, int b) {
  static const std::vector<std::string> both{"add", "sub", "mul", "mul", "maximum"};
  const std::string& name = one_of(both);
  if (name == "mul") {
    const int x = tame(a, 10), y = tame(b, 10);
    return emit(name, {x, y}, {}, bound(x) + bound(y));
  }
  return emit(name, {a, b}, {}, std::max(bound(a), bound(b)) + 1);
}

/// Records a step that is not elementwise and keeps the shape.
int Generator::far_of(int value) {
  const Shape s = shape(value);
  const int x = tame(value, 6);
  const int64_t width = s.rank() > 0 ? s[-1] : 1;
  const double log_width = std::log2(static_cast<double>(width) + 1);
  const int last = s.rank() - 1;
  switch (s.rank() == 0 ? 7 : below(8)) {
    case 0:
      return emit("cumsum", {x}, {below(s.rank()), below(2)}, bound(x) + log_width + 3);
    case 1:
      return emit("softmax", {x}, {below(s.rank())}, 0);
    case 2: {
      const int g = weight({width}), b = weight({width});
      return emit("layer_norm", {x, g, b}, {}, 6);
    }
    case 3: {
      const int w = weight({width, width});
      return emit("matmul", {x, w}, {}, bound(x) + bound(w) + log_width);
    }
    case 4: {
      const int w = weight({width, width});
      return emit("linear", {x, w}, {below(3)}, bound(x) + bound(w) + log_width);
    }
    case 5:
      return emit("rms_norm", {x, weight({width})}, {}, 6);
    case 6:
      return emit("flip", {x}, {below(s.rank())});
    default: {
      if (s.size() == 0) return emit("contiguous", {x});
      // The reduced result broadcasts back to the shape.
      const std::vector<int64_t> axes =
          last < 0 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{1, last, 1};
      return emit(chance(0.5) ? "mean" : "sum", {x}, axes, 8);
    }
  }
}

void Generator::move_stream(size_t stream) {
  int& current = streams_[stream];
  const int other = streams_[static_cast<size_t>(below(static_cast<int64_t>(streams_.size())))];
  const int64_t which = below(10);
  int next;
  if (which < 4) {
    next = elementwise_of(current);
  } else if (which < 6) {
    next = elementwise_of(current, other);
  } else if (which < 7) {
    next = elementwise_of(current, broadcasting_to(shape(current)));
  } else {
    next = far_of(current);
    if (chance(0.5)) next = elementwise_of(next, other);
  }
  if (shape(next) == home_ && dtype(next) == real_) current = next;
}

/// Joins two streams that read each other: each is combined with a non-elementwise function of the
/// other.
void Generator::cross_gates() {
  if (streams_.size() < 2) streams_.push_back(leaf(home_, real_, -2, 2));
  const auto n = static_cast<int64_t>(streams_.size());
  const auto i = static_cast<size_t>(below(n));
  const size_t j = (i + 1 + static_cast<size_t>(below(n - 1))) % static_cast<size_t>(n);
  int a = streams_[i], b = streams_[j];
  int far_a = 0, far_b = 0;
  const auto move = [&](int& x, int& far) {
    if (chance(0.8)) x = elementwise_of(x);
    far = far_of(x);
    if (chance(0.5)) far = elementwise_of(far);
  };
  move(a, far_a);
  move(b, far_b);
  const bool first = chance(0.5);
  const int x = first ? elementwise_of(a, far_b) : elementwise_of(b, far_a);
  const int y = first ? elementwise_of(b, far_a) : elementwise_of(a, far_b);
  if (shape(x) == home_) streams_[i] = x;
  if (shape(y) == home_) streams_[j] = y;
}

/// Records additions to products: x + f(x) W, and sums of several products.
void Generator::residual() {
  int& stream = streams_[static_cast<size_t>(below(static_cast<int64_t>(streams_.size())))];
  const Shape s = shape(stream);
  if (s.rank() == 0 || s[-1] > 200) return;
  const auto product = [&](int x) {
    const int w = weight({s[-1], s[-1]});
    x = tame(x, 4);
    return chance(0.5) ? emit("matmul", {x, w}, {}, 12) : emit("linear", {x, w}, {0}, 12);
  };
  int sum = chance(0.6) ? stream : product(stream);
  for (int64_t i = between(1, 3); i > 0; --i) {
    const int term = product(chance(0.5) ? elementwise_of(stream) : far_of(stream));
    if (shape(term) != shape(sum)) continue;
    sum = chance(0.5) ? emit("add", {sum, term}, {}, 13) : emit("add", {term, sum}, {}, 13);
  }
  stream = sum;
}

void Generator::chain() {
  int value = any_real();
  for (int64_t i = between(3, 12); i > 0; --i) {
    value = chance(0.7) ? elementwise_of(value) : elementwise_of(value, of_shape(shape(value)));
  }
}

void Generator::fan_out() {
  const int value = any_real();
  std::vector<int> ends;
  for (int64_t i = between(2, 8); i > 0; --i) {
    ends.push_back(chance(0.5) ? elementwise_of(value) : elementwise_of(far_of(value), value));
  }
  int sum = ends[0];
  for (size_t i = 1; i < ends.size(); ++i) {
    sum = emit("add", {sum, ends[i]}, {}, std::max(bound(sum), bound(ends[i])) + 1);
  }
}

void Generator::any_kind() {
  static const std::vector<double> sums = [] {
    std::vector<double> s;
    double total = 0;
    for (const Kind& k : kinds()) s.push_back(total += k.choose ? k.weight : 0);
    return s;
  }();
  const double at = static_cast<double>(below(1 << 30)) / (1 << 30) * sums.back();
  const auto i = std::upper_bound(sums.begin(), sums.end(), at) - sums.begin();
  const Kind& chosen = kinds()[static_cast<size_t>(i)];
  if (!chosen.choose(*this)) return;
  const std::vector<int> made = program_.statements.back().out;
  if (made.empty() || chance(0.4)) return;
  bring_home(made[static_cast<size_t>(below(static_cast<int64_t>(made.size())))]);
}

/// Makes a stream depend on the value.
void Generator::bring_home(int value) {
  if (dtype(value) != real_) return;
  int& stream = streams_[static_cast<size_t>(below(static_cast<int64_t>(streams_.size())))];
  if (shape(value) == home_) {
    stream = chance(0.5) ? value : elementwise_of(stream, value);
    return;
  }
  const int64_t size = home_.size();
  int part;
  if (size > 0 && shape(value).size() >= size && chance(0.5)) {
    part = emit("reshape", {value}, {-1});
    const int64_t begin = below(shape(part).size() - size + 1);
    part = emit("slice", {part}, {0, begin, begin + size, 1});
    part = emit("reshape", {part}, {home_.begin(), home_.end()});
  } else {
    part = scalar_of(value);
  }
  stream = elementwise_of(stream, part);
}

void Generator::grow() {
  const int64_t which = below(100);
  if (which < 30) {
    move_stream(static_cast<size_t>(below(static_cast<int64_t>(streams_.size()))));
  } else if (which < 45) {
    cross_gates();
  } else if (which < 49) {
    chain();
  } else if (which < 53) {
    fan_out();
  } else if (which < 56) {
    residual();
  } else if (which < 59) {
    look(false);
  } else {
    any_kind();
  }
}

}  // namespace rapt::programs
