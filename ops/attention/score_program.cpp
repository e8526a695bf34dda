#include "ops/attention/score_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/elementwise/pointwise.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::internal {
namespace {

constexpr int64_t reference_of(ScorePlace place) { return -1 - static_cast<int64_t>(place); }

/// Position values along the axes of the scores, [B, Hq, Tq, Tk].
constexpr ScorePlace axis_places[] = {ScorePlace::batch, ScorePlace::head, ScorePlace::query_number,
                                      ScorePlace::key};

/// Longest axis that float32 can index: beyond it, adding 0.5 for rounding no longer distinguishes
/// neighbours.
constexpr int64_t most_single = int64_t{1} << 23;

/// Limit on the steps of a program. A few hundred registers for the row of a tile fill the L2
/// cache.
constexpr int64_t most_steps = 250;

struct PlaceAttributes {
  int64_t place;
  std::array<int64_t, 4> shape;
  int64_t dtype;
};

/// Operator whose output stands for a place while a function is recorded. The output has no value
/// outside the kernels.
constinit const Op place_op{
    .name = "score",
    .shape =
        [](ShapeContext& c) {
          const auto a = c.attributes<PlaceAttributes>();
          c.output(Shape(a.shape), static_cast<DType>(a.dtype));
        },
    .cpu = {.forward =
                [](const ForwardContext&) {
                  throw Error("what a score function is given has values only inside of attention");
                },
            .strided_inputs = true}};

Var place_var(ScorePlace place, const Shape& shape, DType dtype, std::span<const Arg> beside) {
  PlaceAttributes attributes{static_cast<int64_t>(place), {}, static_cast<int64_t>(dtype)};
  std::copy(shape.begin(), shape.end(), attributes.shape.begin());
  return record(place_op, beside, attributes);
}

/// Writer of a program's text, step by step.
constexpr int64_t access = -1;

struct Writer {
  ScoreText body;
  int64_t steps = 0;

  /// Adds a step: an elementwise operator, or null for an access. Programs name operators by their
  /// codes, so that equal programs are equal numbers in every process.
  int64_t add(const Op* op, std::span<const int64_t> inputs, std::span<const int64_t> words) {
    body.push_back(op == nullptr ? access : op->cpu.code);
    body.push_back(static_cast<int64_t>(inputs.size()));
    body.push_back(static_cast<int64_t>(words.size()));
    body.insert(body.end(), inputs.begin(), inputs.end());
    body.insert(body.end(), words.begin(), words.end());
    return steps++;
  }

  ScoreText finish(std::span<const int64_t> outputs, int64_t captured) const {
    ScoreText text;
    text.reserve(3 + body.size() + outputs.size());
    text.push_back(steps);
    text.push_back(static_cast<int64_t>(outputs.size()));
    text.push_back(captured);
    text.insert(text.end(), body.begin(), body.end());
    text.insert(text.end(), outputs.begin(), outputs.end());
    return text;
  }
};

/// Converter from nodes of a graph, beginning at some node, to a program's text.
class Transcript {
 public:
  Transcript(const Graph& graph, NodeId first_node, SourceLocation where)
      : graph_(graph), first_node_(first_node), where_(where) {}
  virtual ~Transcript() = default;

  void know(const Var& var, int64_t reference) { known_.push_back({var.id(), reference}); }

  /// Marks the nodes that depend on a place. To be called after everything is recorded and all
  /// places are known.
  void mark() {
    for (NodeId n = first_node_; n < graph_.nodes.next(); ++n) {
      const Node& node = graph_.nodes[n];
      const auto inputs = graph_.inputs_of(node);
      const bool known = std::any_of(known_.begin(), known_.end(), [&](const auto& pair) {
        return graph_.values[pair.first].node == n;
      });
      depends_.push_back(known || std::any_of(inputs.begin(), inputs.end(),
                                              [&](ValueId input) { return depends(input); }));
    }
  }

  int64_t reference(ValueId value) {
    for (const auto& [id, known] : known_) {
      if (id == value) return known;
    }
    const int64_t result = take_down(value);
    known_.push_back({value, result});
    return result;
  }

  Writer writer;

 protected:
  /// Returns the reference of a value that depends on no place.
  virtual int64_t outside(ValueId value) = 0;

  [[noreturn]] void fail(const std::string& message, ErrorKind kind = ErrorKind::usage) const {
    throw Error(
        {.kind = kind, .op = "score function", .detail = message, .place = place_of(where_)});
  }

  const Graph& graph_;

 private:
  /// True if a value depends on a place.
  bool depends(ValueId value) const {
    const NodeId node = graph_.values[value].node;
    return node >= first_node_ && node - first_node_ < depends_.size() &&
           depends_[node - first_node_] != 0;
  }

  int64_t take_down(ValueId value) {
    if (!depends(value)) return outside(value);
    const Node& node = graph_.nodes[graph_.values[value].node];
    const auto inputs = graph_.inputs_of(node);
    if (node.op == &element_op) return element(node);
    if (node.op->traits.broadcasts) return reference(inputs[0]);
    if (node.op->cpu.pointwise != &pointwise_family ||
        node.op->cpu.code == code_of(kernels::Code::dropout)) {
      fail(fmt::format("{} is not elementwise", node.op->name));
    }
    if (graph_.values[value].dtype == DType::int32) {
      fail(
          fmt::format("{} makes int32 values; places and indices are floats, and floor() makes "
                      "whole numbers of others",
                      node.op->name));
    }
    Recycled<int64_t> references;
    for (const ValueId input : inputs) references.push_back(reference(input));
    return writer.add(node.op, references, graph_.words_of(node));
  }

  int64_t element(const Node& node) {
    const auto inputs = graph_.inputs_of(node);
    if (depends(inputs[0])) fail("an array that is indexed has to come from outside");
    Recycled<int64_t> references{capture(inputs[0])};
    for (const ValueId input : inputs.subspan(1)) references.push_back(reference(input));
    const int64_t whole = 0;
    return writer.add(nullptr, references, {&whole, 1});
  }

 protected:
  virtual int64_t capture(ValueId value) = 0;

 private:
  NodeId first_node_;
  SourceLocation where_;
  Recycled<uint8_t> depends_;  // by node, from first_node_
  Recycled<std::pair<ValueId, int64_t>> known_;
};

/// Converter of a user's function.
class FunctionTranscript final : public Transcript {
 public:
  FunctionTranscript(Graph& graph, const Shape& all, DType dtype, SourceLocation where)
      : Transcript(graph, graph.nodes.next(), where), all_(all), dtype_(dtype) {}

  Recycled<ValueId> captured;

 private:
  int64_t capture(ValueId value) override {
    const Value& v = graph_.values[value];
    if (v.dtype != dtype_) {
      fail(fmt::format("it takes {} {} from outside, scores are {}", name(v.dtype),
                       to_string(v.shape), name(dtype_)),
           ErrorKind::type);
    }
    if (v.shape.size() >= int64_t{1} << 31) {
      fail(fmt::format("{} is too large to be indexed", to_string(v.shape)));
    }
    if (dtype_ == DType::float32 &&
        std::any_of(v.shape.begin(), v.shape.end(), [](int64_t n) { return n > most_single; })) {
      fail(fmt::format("{} is too long to be indexed by float32 numbers", to_string(v.shape)));
    }
    const auto known = std::find(captured.begin(), captured.end(), value);
    if (known != captured.end()) return known - captured.begin();
    captured.push_back(value);
    return static_cast<int64_t>(captured.size()) - 1;
  }

  int64_t outside(ValueId value) override {
    const Shape shape = graph_.values[value].shape;
    Shape both;
    if (shape.rank() > 4 || !broadcast(shape, all_, both) || both != all_) {
      fail(fmt::format("{} from outside does not broadcast to scores {}", to_string(shape),
                       to_string(all_)),
           ErrorKind::shape);
    }
    Recycled<int64_t> references{capture(value)};
    for (int axis = 0; axis < shape.rank(); ++axis) {
      references.push_back(shape[axis] == 1 ? whole_axis
                                            : reference_of(axis_places[axis + 4 - shape.rank()]));
    }
    const int64_t whole = 1;
    return writer.add(nullptr, references, {&whole, 1});
  }

  const Shape all_;
  const DType dtype_;
};

/// Converter of a derivative. It captures no arrays beyond the function's; its constants become
/// inputs.
class DerivativeTranscript final : public Transcript {
 public:
  DerivativeTranscript(const Graph& graph, int64_t function_captured)
      : Transcript(graph, NodeId{}, SourceLocation::current()), captured_(function_captured) {}

  Recycled<double> numbers;

 private:
  int64_t capture(ValueId) override { fail("a derivative captures no arrays"); }

  int64_t outside(ValueId value) override {
    const Node& node = graph_.nodes[graph_.values[value].node];
    if (node.op != nullptr) {  // a number computed from numbers, or broadcast
      const auto inputs = graph_.inputs_of(node);
      if (node.op->traits.broadcasts) return reference(inputs[0]);
      Recycled<int64_t> references;
      for (const ValueId input : inputs) references.push_back(reference(input));
      return writer.add(node.op, references, graph_.words_of(node));
    }
    const Leaf& leaf = graph_.leaves[node.leaf()];
    double number = 0;
    if (leaf.tensor) {
      number = leaf.tensor.to_vector<double>().at(0);
    } else if (graph_.values[value].dtype == DType::float32) {
      float single;
      std::memcpy(&single, leaf.inline_value.data(), sizeof single);
      number = single;
    } else {
      std::memcpy(&number, leaf.inline_value.data(), sizeof number);
    }
    const auto known = std::find(numbers.begin(), numbers.end(), number);
    const int64_t at = captured_ + (known - numbers.begin());
    if (known == numbers.end()) numbers.push_back(number);
    const int64_t whole = 1;
    return writer.add(nullptr, {&at, 1}, {&whole, 1});
  }

  int64_t captured_;
};

}  // namespace

ScoreReader::ScoreReader(std::span<const int64_t> text) : text_(text) {
  size_t at = 3;
  for (int64_t i = 0; i < text[0]; ++i) {
    begins_.push_back(at);
    at += 3 + static_cast<size_t>(text[at + 1] + text[at + 2]);
  }
  outputs_ = text.subspan(at, static_cast<size_t>(text[1]));
  text_ = text.first(at + outputs_.size());
}

ScoreReader::Step ScoreReader::step(int64_t i) const {
  const auto from = text_.subspan(begins_[static_cast<size_t>(i)]);
  const auto inputs = static_cast<size_t>(from[1]), words = static_cast<size_t>(from[2]);
  return {from[0] == access ? nullptr : &elementwise_op(from[0]), from.subspan(3, inputs),
          from.subspan(3 + inputs, words)};
}

RecordedScore record_score(const ScoreFunction& function, const Var& q, const Shape& all,
                           SourceLocation where) {
  Graph& graph = q.graph();
  const DType dtype = q.dtype();
  FunctionTranscript transcript(graph, all, dtype, where);
  const Arg beside[] = {Arg(q, where)};
  const auto place = [&](ScorePlace p, const Shape& shape) {
    const Var var = place_var(p, shape, dtype, beside);
    transcript.know(var, reference_of(p));
    return var;
  };
  const Score score{.value = place(ScorePlace::value, all),
                    .batch = place(ScorePlace::batch, {all[0], 1, 1, 1}),
                    .head = place(ScorePlace::head, {1, all[1], 1, 1}),
                    .query = place(ScorePlace::query, {1, 1, all[2], 1}),
                    .key = place(ScorePlace::key, {1, 1, 1, all[3]})};
  const Var result = function(score);
  if (result.is_empty() || &result.graph() != &graph) {
    throw Error({.op = "score function",
                 .detail = "it returns nothing of its own tape",
                 .place = place_of(where)});
  }
  Shape both;
  if (result.dtype() != dtype || !broadcast(result.shape(), all, both) || both != all) {
    throw Error(
        {.kind = result.dtype() == dtype ? ErrorKind::shape : ErrorKind::type,
         .op = "score function",
         .detail = fmt::format("expected {} scores {}, it returns {} {}", name(dtype),
                               to_string(all), name(result.dtype()), to_string(result.shape())),
         .place = place_of(where)});
  }
  transcript.mark();
  const int64_t output = transcript.reference(result.id());
  if (transcript.writer.steps > most_steps) {
    throw Error({.op = "score function",
                 .detail = fmt::format("it has {} operators, the most is {}",
                                       transcript.writer.steps, most_steps),
                 .place = place_of(where)});
  }
  RecordedScore recorded;
  for (const ValueId id : transcript.captured) recorded.captured.emplace_back(graph, id);
  recorded.text =
      transcript.writer.finish({&output, 1}, static_cast<int64_t>(recorded.captured.size()));
  return recorded;
}

Var replay_score(std::span<const int64_t> text, const Var& scores, std::span<const Var> captured) {
  const ScoreReader reader(text);
  Graph& graph = scores.graph();
  const Shape all = scores.shape();
  std::array<Var, score_places> places;
  places[0] = scores;
  Recycled<Var> steps;
  const auto numbers = [&](int axis, int64_t first) {
    Shape shape{1, 1, 1, 1};
    shape[axis] = all[axis];
    Tensor values(shape, DType::float64);
    for (double& value : values.data<double>()) value = static_cast<double>(first++);
    return graph.constant(values.to(scores.dtype()), SourceLocation::current());
  };
  const auto value_of = [&](int64_t reference) -> Var {
    if (reference >= 0) return steps[static_cast<size_t>(reference)];
    Var& place = places[static_cast<size_t>(-1 - reference)];
    if (!place.is_empty()) return place;
    switch (static_cast<ScorePlace>(-1 - reference)) {
      case ScorePlace::batch:
        return place = numbers(0, 0);
      case ScorePlace::head:
        return place = numbers(1, 0);
      case ScorePlace::query:
        return place = numbers(2, all[3] - all[2]);
      default:
        return place = numbers(3, 0);
    }
  };
  for (int64_t i = 0; i < reader.steps(); ++i) {
    const ScoreReader::Step step = reader.step(i);
    Recycled<Arg> inputs;
    if (step.is_access()) {
      const Var& array = captured[static_cast<size_t>(step.inputs[0])];
      for (const int64_t index : step.inputs.subspan(1)) {
        if (step.words[0] == 0) inputs.emplace_back(value_of(index));
      }
      steps.push_back(step.words[0] != 0 ? array : element(array, inputs));
      continue;
    }
    for (const int64_t input : step.inputs) inputs.emplace_back(value_of(input));
    steps.push_back(record(StaticOp::of_node(step.op), inputs, step.words));
  }
  const Var result = value_of(reader.outputs()[0]);
  return result.shape() == all ? result : broadcast_to(result, all);
}

ScoreDerivative differentiate_score(std::span<const int64_t> text, DType dtype,
                                    FunctionRef<bool(int64_t)> needs) {
  const ScoreReader reader(text);
  // Recorded on a separate tape that is discarded at the end. All places and elements have the same
  // small shape. So nothing is broadcast, and no derivative contains a sum.
  const Tape tape;
  const Shape shape{2, 2, 2, 2};
  DerivativeTranscript transcript(tape.graph(), reader.captured());
  std::array<Var, score_places> places;
  for (int i = 0; i < score_places; ++i) {
    const auto place = static_cast<ScorePlace>(i);
    places[static_cast<size_t>(i)] = place_var(place, shape, dtype, {});
    transcript.know(places[static_cast<size_t>(i)], reference_of(place));
  }
  Recycled<Var> steps;
  const auto value_of = [&](int64_t reference) {
    return reference >= 0 ? steps[static_cast<size_t>(reference)]
                          : places[static_cast<size_t>(-1 - reference)];
  };
  Recycled<Var> wrt{places[0]};
  Recycled<int64_t> accesses;  // wrt[1 + i] belongs to step accesses[i]
  for (int64_t i = 0; i < reader.steps(); ++i) {
    const ScoreReader::Step step = reader.step(i);
    if (step.is_access()) {
      steps.push_back(place_var(ScorePlace::value, shape, dtype, {}));
      if (needs(step.inputs[0])) {
        wrt.push_back(steps.back());
        accesses.push_back(i);
      }
    } else {
      Recycled<Arg> inputs;
      for (const int64_t input : step.inputs) inputs.emplace_back(value_of(input));
      steps.push_back(record(StaticOp::of_node(step.op), inputs, step.words));
    }
    transcript.writer.add(step.op, step.inputs, step.words);
    transcript.know(steps.back(), i);
  }
  const Var result = value_of(reader.outputs()[0]);
  const Var& seed = places[static_cast<size_t>(ScorePlace::upstream)];
  Recycled<Var> grads(wrt.size());
  vjp({&result, 1}, {&seed, 1}, wrt, grads);
  transcript.mark();
  Recycled<int64_t> outputs{reader.outputs()[0], transcript.reference(grads[0].id())};
  for (size_t i = 0; i < accesses.size(); ++i) {
    outputs.push_back(accesses[i]);
    outputs.push_back(transcript.reference(grads[i + 1].id()));
  }
  ScoreDerivative derivative;
  derivative.numbers = transcript.numbers;
  derivative.text = transcript.writer.finish(
      outputs, reader.captured() + static_cast<int64_t>(transcript.numbers.size()));
  return derivative;
}

}  // namespace rapt::internal
