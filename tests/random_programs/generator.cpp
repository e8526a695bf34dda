#include "tests/random_programs/generator.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "framework/core/error.hpp"
#include "ops/autodiff/grad.hpp"

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

/// Limit on the elements of one value. All values of a program may have ten times as many.
constexpr int64_t most_elements = 1 << 18;
/// The limit for programs that need more memory than the planner may waste (16 MB), so that steps
/// must wait until others release theirs.
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
  // One of the last four, or any of them.
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
    // Elements of another value, cut and reshaped.
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
  // Occasionally integers that are computed.
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

// ---- the whole ----------------------------------------------------------------------------------

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

/// Throws Error if an optimizer could not differentiate the loss.
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
  program_.steps = static_cast<int>(between(1, huge_ ? 2 : 4));
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
  // A step that fails must leave the parameters unchanged.
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
