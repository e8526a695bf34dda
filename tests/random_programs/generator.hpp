// The generator of random programs, and the choices it offers to operator kinds.
#pragma once

#include "framework/graph/tape.hpp"
#include "tests/random_programs/program.hpp"

namespace rapt::programs {

class Generator {
 public:
  Generator(uint64_t seed, const GenerateOptions& options);
  Program make();

  // ---- chance ---------------------------------------------------------------------------------
  int64_t below(int64_t n) { return n <= 0 ? 0 : key_.below(n, draws_++); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool chance(double p) { return key_.uniform(draws_++) < p; }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }
  int one_of(std::initializer_list<int> list) {
    return *(list.begin() + below(static_cast<int64_t>(list.size())));
  }

  // ---- values ---------------------------------------------------------------------------------
  const ValueInfo& info(int value) const { return program_.values[static_cast<size_t>(value)]; }
  Shape shape(int value) const { return info(value).shape; }
  std::vector<int64_t> dims(int value) const {
    const Shape& s = info(value).shape;
    return {s.begin(), s.end()};
  }
  int rank(int value) const { return shape(value).rank(); }
  DType dtype(int value) const { return info(value).dtype; }
  double bound(int value) const { return info(value).bound; }
  /// Returns the program's float type, or the shape that most of its values have.
  DType real() const { return real_; }
  const Shape& home() const { return home_; }
  int64_t dim() { return one_of({1, 2, 2, 3, 3, 4, 5}); }

  /// Returns an existing value, preferably a recent one; -1 if none satisfies `wanted`.
  int find(const std::function<bool(const ValueInfo&)>& wanted);
  /// Returns a float value of the program's type, with at least this rank. It may be a new leaf.
  int any_real(int at_least = 0);
  /// Returns a float value of exactly this shape: an existing, an adapted, or a new one.
  int of_shape(const Shape& shape, double most = 12);
  /// Returns a value that broadcasts to the shape.
  int broadcasting_to(const Shape& shape);
  /// Returns an int32 value of this shape, with elements in [low, high).
  int whole(const Shape& shape, int64_t low, int64_t high);
  int boolean(const Shape& shape);
  /// Returns the value, or tanh or sigmoid of it if its bound exceeds 2^most.
  int tame(int value, double most);
  /// Returns a value of that shape with elements in [low, high): a new leaf or a squashed value.
  int within(const Shape& shape, DType dtype, double low, double high);
  int leaf(const Shape& shape, DType dtype, double low, double high);
  int parameter(const Shape& shape);
  /// Returns a weight: a parameter, a leaf or a computed value.
  int weight(const Shape& shape);

  /// Returns all float values of the program's type that this one depends on.
  std::vector<int> ancestors(int value) const;

  /// Records the call and returns the first of its values. Throws Error if rapt does.
  int emit(const std::string& name, std::vector<int> in, std::vector<int64_t> p = {},
           double bound = -1000);
  int emit(const Kind& kind, std::vector<int> in, std::vector<int64_t> p = {},
           double bound = -1000);
  int output(int i) const { return program_.statements.back().out[static_cast<size_t>(i)]; }
  size_t nodes() const { return tape_.size(); }
  bool is_training() const { return program_.training; }
  int grads = 0;

 private:
  int64_t most() const;
  bool attempt(const std::function<bool()>& body);
  void start_streams();
  void grow();
  void move_stream(size_t stream);
  int elementwise_of(int value);
  int elementwise_of(int a, int b);
  int far_of(int value);
  void cross_gates();
  void residual();
  void chain();
  void fan_out();
  void any_kind();
  void bring_home(int value);
  void look(bool last);
  void differentiate(int loss);
  void ending();
  int scalar_of(int value);
  std::vector<int> some_values(int64_t count);

  Key key_;
  uint64_t draws_ = 0;
  GenerateOptions options_;
  Program program_;
  Tape tape_;
  Vars vars_;
  Shape home_;
  DType real_ = DType::float32;
  bool large_ = false, huge_ = false;
  int64_t elements_ = 0;
  std::vector<int> streams_;
};

/// Returns how often rapt refused each kind during generation, for tuning the generator.
std::vector<std::pair<std::string, int64_t>> refusals();

}  // namespace rapt::programs
