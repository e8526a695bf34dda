#include "generator.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <rapt/framework/error.hpp>
#include <rapt/ops/grad.hpp>

namespace rapt::programs {
namespace {

std::map<std::string, int64_t>& refused() {
  static std::map<std::string, int64_t> counts;
  return counts;
}

bool spreads_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int axis = 1; axis <= from.rank(); ++axis) {
    if (from[-axis] != 1 && from[-axis] != to[-axis]) return false;
  }
  return true;
}

/// Of a value; all of a program's have ten times as many at most.
constexpr int64_t most_elements = 1 << 18;
/// The same for a program that is to use more memory than the planner may spare (16 MB), so that
/// steps have to wait for others to be done with theirs.
constexpr int64_t most_elements_of_huge = 1 << 20;

std::vector<int64_t> dims_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

std::vector<std::pair<std::string, int64_t>> refusals() {
  return {refused().begin(), refused().end()};
}

Generator::Generator(uint64_t seed, const GenerateOptions& options)
    : key_(Key{7001}.fold(seed)), options_(options), tape_(Training{Key{seed}}) {
  program_.seed = seed;
}

int64_t Generator::most() const { return huge_ ? most_elements_of_huge : most_elements; }

// ---- values -------------------------------------------------------------------------------------

int Generator::emit(const Kind& kind, std::vector<int> in, std::vector<int64_t> p, double bound) {
  Statement statement{&kind, std::move(in), std::move(p), {}};
  Vars operands;
  double largest = 0;
  for (const int value : statement.in) {
    operands.push_back(vars_[static_cast<size_t>(value)]);
    largest = std::max(largest, info(value).bound);
  }
  const Recording recording{
      .parameter_of = [](const Statement& s) { return Parameter(leaf_tensor(s, 0)); }};
  for (const Var& made : kind.apply(statement, operands, recording)) {
    elements_ += made.shape().size();
    if (made.shape().size() > most() || elements_ > 10 * most()) {
      throw Error("an array too large for a quick program");
    }
    statement.out.push_back(static_cast<int>(vars_.size()));
    program_.values.push_back({made.shape(), made.dtype(), bound > -1000 ? bound : largest});
    vars_.push_back(made);
  }
  program_.statements.push_back(std::move(statement));
  return program_.statements.back().out.empty() ? -1 : output(0);
}

int Generator::emit(const std::string& name, std::vector<int> in, std::vector<int64_t> p,
                    double bound) {
  return emit(kind(name), std::move(in), std::move(p), bound);
}

int Generator::find(const std::function<bool(const ValueInfo&)>& wanted) {
  std::vector<int> found;
  for (int i = static_cast<int>(vars_.size()) - 1; i >= 0 && found.size() < 16; --i) {
    if (wanted(info(i))) found.push_back(i);
  }
  if (found.empty()) return -1;
  // Among the last few of them, or among all.
  const auto n = static_cast<int64_t>(found.size());
  return found[static_cast<size_t>(below(chance(0.6) ? std::min<int64_t>(n, 4) : n))];
}

int Generator::any_real(int at_least) {
  const int value = find([&](const ValueInfo& v) {
    return v.dtype == real_ && v.shape.rank() >= at_least && (huge_ || v.shape.size() <= 1 << 16);
  });
  if (value >= 0) return value;
  Shape shape = home_;
  while (shape.rank() < at_least) {
    std::vector<int64_t> dims = dims_of(shape);
    dims.insert(dims.begin(), dim());
    shape = Shape(dims);
  }
  return leaf(shape, real_, -2, 2);
}

int Generator::of_shape(const Shape& shape, double most) {
  if (chance(0.75)) {
    const int value =
        find([&](const ValueInfo& v) { return v.dtype == real_ && v.shape == shape; });
    if (value >= 0) return tame(value, most);
  }
  if (chance(0.3) && shape.rank() > 0) {
    // Another value's elements, cut and spread to the shape.
    const int64_t size = shape.size();
    const int value = find([&](const ValueInfo& v) {
      return v.dtype == real_ && v.shape.size() >= size && v.shape.size() > 0 &&
             v.shape.size() < 4 * size + 64;
    });
    if (value >= 0) {
      int flat = info(value).shape.rank() == 1 ? value : emit("reshape", {value}, {-1});
      const int64_t all = this->shape(flat).size();
      if (all > size) {
        const int64_t begin = below(all - size + 1);
        flat = emit("slice", {flat}, {0, begin, begin + size, 1});
      }
      return tame(shape.rank() == 1 ? flat : emit("reshape", {flat}, dims_of(shape)), most);
    }
  }
  return chance(0.5) ? weight(shape) : leaf(shape, real_, -2, 2);
}

int Generator::broadcasting_to(const Shape& shape) {
  const int value = find([&](const ValueInfo& v) {
    return v.dtype == real_ && v.shape != shape && spreads_to(v.shape, shape);
  });
  if (value >= 0) return value;
  std::vector<int64_t> dims = dims_of(shape);
  for (int64_t& dim : dims) dim = chance(0.5) ? 1 : dim;
  dims.erase(dims.begin(), dims.begin() + below(static_cast<int64_t>(dims.size()) + 1));
  return weight(Shape(dims));
}

int Generator::whole(const Shape& shape, int64_t low, int64_t high) {
  // Whole numbers that are computed, now and then.
  if (chance(0.2) && high - low < 1000) {
    const int value =
        find([&](const ValueInfo& v) { return v.dtype == real_ && v.shape == shape; });
    if (value >= 0) {
      const int unit = emit("within", {value}, {low, high}, 0);
      return emit("whole", {unit}, {low, high - 1}, std::log2(static_cast<double>(high) + 1));
    }
  }
  return leaf(shape, DType::int32, static_cast<double>(low), static_cast<double>(high));
}

int Generator::boolean(const Shape& shape) {
  if (chance(0.5)) {
    const int value =
        find([&](const ValueInfo& v) { return v.dtype == DType::boolean && v.shape == shape; });
    if (value >= 0) return value;
  }
  if (chance(0.5)) {
    const int value =
        find([&](const ValueInfo& v) { return v.dtype == real_ && v.shape == shape; });
    if (value >= 0) return emit("greater_number", {value}, {below(3)}, 0);
  }
  return leaf(shape, DType::boolean, 0, 2);
}

int Generator::tame(int value, double most) {
  if (info(value).bound <= most) return value;
  return emit(chance(0.8) ? "tanh" : "sigmoid", {value}, {}, 0);
}

int Generator::within(const Shape& shape, DType dtype, double low, double high) {
  if (is_float(dtype)) {
    const int value =
        chance(0.7) ? find([&](const ValueInfo& v) { return v.dtype == real_ && v.shape == shape; })
                    : -1;
    if (value < 0) return leaf(shape, real_, low, high);
    if (low <= -2 && high >= 2) return tame(value, 3);
    return emit("within", {value},
                {static_cast<int64_t>(std::lround(low * 1000)),
                 static_cast<int64_t>(std::lround(high * 1000)), 1000},
                std::log2(std::max(std::abs(low), std::abs(high)) + 1));
  }
  if (dtype == DType::boolean) return boolean(shape);
  return whole(shape, static_cast<int64_t>(low), static_cast<int64_t>(high));
}

int Generator::leaf(const Shape& shape, DType dtype, double low, double high) {
  if (shape.size() > most()) throw Error("a leaf too large for a quick program");
  const int64_t layout = shape.rank() >= 2 && chance(0.15) ? 1 : 0;
  std::vector<int64_t> p{static_cast<int64_t>(dtype), static_cast<int64_t>(std::lround(low * 1000)),
                         static_cast<int64_t>(std::lround(high * 1000)), layout,
                         static_cast<int64_t>(vars_.size())};
  p.insert(p.end(), shape.begin(), shape.end());
  return emit("input", {}, p, std::log2(std::max(std::abs(low), std::abs(high)) + 1));
}

int Generator::parameter(const Shape& shape) {
  if (shape.size() > most()) throw Error("a parameter too large for a quick program");
  std::vector<int64_t> p{static_cast<int64_t>(real_), -1000, 1000, 0,
                         static_cast<int64_t>(vars_.size())};
  p.insert(p.end(), shape.begin(), shape.end());
  return emit("parameter", {}, p, 1);
}

int Generator::weight(const Shape& shape) {
  if (chance(0.5)) {
    const int value =
        find([&](const ValueInfo& v) { return v.dtype == real_ && v.shape == shape; });
    if (value >= 0) return tame(value, 4);
  }
  return chance(0.6) ? parameter(shape) : leaf(shape, real_, -1, 1);
}

std::vector<int> Generator::ancestors(int value) const {
  std::vector<bool> reached(vars_.size(), false);
  reached[static_cast<size_t>(value)] = true;
  std::vector<int> list;
  for (size_t i = program_.statements.size(); i-- > 0;) {
    const Statement& s = program_.statements[i];
    bool leads = false;
    for (const int out : s.out) leads = leads || reached[static_cast<size_t>(out)];
    if (!leads) continue;
    for (const int in : s.in) {
      if (!reached[static_cast<size_t>(in)] && dtype(in) == real_) list.push_back(in);
      reached[static_cast<size_t>(in)] = true;
    }
  }
  return list;
}

// ---- growth -------------------------------------------------------------------------------------

bool Generator::attempt(const std::function<bool()>& body) {
  const size_t statements = program_.statements.size(), values = vars_.size();
  const std::vector<int> streams = streams_;
  bool done = false;
  try {
    done = body();
  } catch (const Error& error) {
    ++refused()[std::string(error.what()).substr(0, 60)];
  }
  if (done) return true;
  program_.statements.resize(statements);
  program_.values.resize(values);
  vars_.resize(values);
  streams_ = streams;
  return false;
}

void Generator::start_streams() {
  const int64_t rank = one_of({1, 2, 2, 2, 3, 3});
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(dim());
  if (chance(0.03)) dims[static_cast<size_t>(below(rank))] = 0;
  // Now and then large enough for steps side by side, more seldom for chains of row by row steps
  // and for loops that are shared out, or for memory that is short.
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
  real_ = chance(0.8) ? DType::float32 : DType::float64;
  program_.training = chance(0.8);
  const int64_t count = huge_ ? 4 : one_of({1, 2, 2, 2, 3, 4});
  for (int64_t i = 0; i < count; ++i) {
    if (huge_ && i > 0) {  // Branches side by side.
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

/// A step that is not elementwise, of the same shape.
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
      // It broadcasts back.
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

/// Streams that read each other: each is joined with a far function of the other.
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

/// What products are added to: x + f(x) W, and sums of several products.
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
    part = emit("reshape", {part}, dims_of(home_));
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

// ---- the end ------------------------------------------------------------------------------------

std::vector<int> Generator::some_values(int64_t count) {
  std::vector<int> list;
  for (int64_t i = 0; i < count; ++i) {
    const auto n = static_cast<int64_t>(vars_.size());
    list.push_back(
        static_cast<int>(chance(0.6) ? n - 1 - below(std::min<int64_t>(n, 8)) : below(n)));
  }
  return list;
}

void Generator::look(bool last) {
  std::vector<int> list = some_values(last ? between(2, 6) : one_of({1, 1, 2, 3}));
  if (last) list.insert(list.end(), streams_.begin(), streams_.end());
  emit("look", list, {one_of({0, 1, 2})});
}

int Generator::scalar_of(int value) {
  const int x = tame(value, 10);
  return emit(chance(0.5) ? "mean" : "sum", {x}, {0, 0}, 12);
}

/// Throws Error where an optimizer could not.
void Generator::differentiate(int loss) {
  Vars roots;
  for (const Statement& s : program_.statements) {
    if (s.kind->name == "parameter") roots.push_back(vars_[static_cast<size_t>(s.out[0])]);
  }
  if (!roots.empty()) grad(vars_[static_cast<size_t>(loss)], roots);
}

void Generator::ending() {
  std::vector<int> losses;
  const bool trains = chance(0.35);
  if (trains) {
    int64_t n = one_of({1, 1, 1, 2});
    for (int64_t i = 0; i < n; ++i) {
      int loss = -1;
      for (const int stream : streams_) {
        const int s = scalar_of(stream);
        loss = loss < 0 ? s : emit("add", {loss, s}, {}, 13);
      }
      for (const int value : some_values(below(4))) {
        if (dtype(value) == real_) loss = emit("add", {loss, scalar_of(value)}, {}, 13);
      }
      losses.push_back(loss);
    }
  }
  if (!trains || chance(0.4)) look(true);
  if (!trains) {
    if (chance(0.1)) program_.steps = 2;
    return;
  }
  program_.steps = static_cast<int>(between(1, 4));
  for (int64_t i = 0; i < 10; ++i) program_.optimizer.push_back(below(1000));
  const auto n = static_cast<int64_t>(losses.size());
  if (chance(0.2)) {
    std::vector<int> in{losses[static_cast<size_t>(below(n))]};
    for (const int value : some_values(below(3))) in.push_back(value);
    differentiate(in[0]);
    emit("accumulate", in);
  }
  std::vector<int> in = losses;
  for (const int value : some_values(below(4))) in.push_back(value);
  for (const int loss : losses) differentiate(loss);
  // A step that fails leaves parameters alone.
  int64_t failing = -1;
  const int victim = chance(0.15) ? any_real() : -1;
  if (victim >= 0 && shape(victim).size() > 0) {
    failing = below(program_.steps);
    in.push_back(emit("trap", {victim}, {failing}));
  }
  emit("step", in, {n, failing});
  if (failing < 0 && chance(0.4) && static_cast<int64_t>(in.size()) > n) {
    emit("look", {in.begin() + n, in.end()}, {one_of({0, 1})});
  }
}

Program Generator::make() {
  start_streams();
  int64_t wanted = options_.operators;
  if (wanted == 0) {
    wanted = chance(0.7) ? between(5, 20) : chance(0.7) ? between(20, 45) : between(45, 80);
  }
  if (large_) wanted = std::min<int64_t>(wanted, huge_ ? 40 : 25);
  for (int64_t tries = 0; tries < 4 * wanted; ++tries) {
    if (static_cast<int64_t>(program_.statements.size()) >= wanted || nodes() > 2500) break;
    attempt([&] {
      grow();
      return true;
    });
  }
  attempt([&] {
    ending();
    return true;
  });
  return std::move(program_);
}

Program generate(uint64_t seed, const GenerateOptions& options) {
  return Generator(seed, options).make();
}

}  // namespace rapt::programs
