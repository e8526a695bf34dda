// What a plan's picture shows: solid arrows are what flows, dashed ones are waits for memory.
#include <algorithm>
#include <functional>
#include <map>
#include <rapt/rapt.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "framework/graph/graph.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

std::shared_ptr<const Plan> plan_of(Executor& executor, const std::vector<Var>& targets) {
  return executor.plan(targets);
}

using Arrow = std::pair<std::string, uint32_t>;  // "s3" or "v7", and the step that it leads to

struct Picture {
  std::set<Arrow> solid, dashed;
  std::set<std::string> nodes;
  std::string text;
};

/// Reads a picture back. Every line has to be one that is known.
Picture picture_of(const Plan& plan, const Graph& graph) {
  static const std::regex arrow(R"(  ([sv]\d+) -> s(\d+)( \[style=dashed, .*\])?;)");
  static const std::regex node(R"re(  ([sv]\d+) \[label="([^"\\]|\\.)*".*\];)re");
  Picture picture;
  picture.text = plan.to_dot(graph);
  std::istringstream lines(picture.text);
  std::string line;
  std::smatch match;
  REQUIRE((std::getline(lines, line) && line == "digraph plan {"));
  REQUIRE((std::getline(lines, line) && line.starts_with("  node [")));
  while (std::getline(lines, line) && line != "}") {
    INFO(line);
    if (std::regex_match(line, match, arrow)) {
      auto& arrows = match[3].matched ? picture.dashed : picture.solid;
      CHECK(arrows.emplace(match[1], std::stoul(match[2])).second);  // each once
    } else {
      REQUIRE(std::regex_match(line, match, node));
      CHECK(picture.nodes.insert(match[1]).second);
    }
  }
  CHECK(line == "}");
  for (const auto& arrows : {picture.solid, picture.dashed}) {
    for (const auto& [from, to] : arrows) CHECK(picture.nodes.count(from) == 1);
  }
  return picture;
}

std::string step_name(StepId step) { return "s" + std::to_string(index(step)); }

/// Every wait has its arrow: solid where something flows, else dashed.
void check_waits(const Plan& plan, const Picture& picture) {
  std::set<Arrow> waits;
  for (const StepId s : plan.steps.ids()) {
    for (const StepId other : plan.steps[s].after) {
      const Arrow arrow{step_name(other), index(s)};
      if (picture.solid.count(arrow) == 0) waits.insert(arrow);
    }
  }
  CHECK(picture.dashed == waits);
}

/// What flows by the recording, of a plan whose steps are nodes.
std::set<Arrow> recorded_flow(const Plan& plan, const Graph& graph) {
  std::map<NodeId, StepId> step_of;
  for (const StepId s : plan.steps.ids()) step_of[plan.nodes[plan.steps[s].node]] = s;
  std::set<Arrow> flow;
  for (const StepId s : plan.steps.ids()) {
    REQUIRE(plan.steps[s].nodes == 1);
    for (const ValueId input : graph.inputs_of(graph.nodes[plan.nodes[plan.steps[s].node]])) {
      const ValueId base = graph.values[input].base;
      const NodeId maker = graph.values[base].node;
      if (graph.nodes[maker].op == nullptr) {
        const auto leaf = std::find(plan.values.begin(), plan.values.end(), base);
        flow.emplace("v" + std::to_string(leaf - plan.values.begin()), index(s));
      } else {
        flow.emplace(step_name(step_of.at(maker)), index(s));
      }
    }
  }
  return flow;
}

/// Calls f(byte) for each byte that a view shows, element by element.
void for_each_byte(const TensorView& view, int64_t offset, const std::function<void(int64_t)>& f) {
  const std::vector<int64_t> dims(view.shape.begin(), view.shape.end());
  std::vector<int64_t> at(dims.size(), 0);
  for (int64_t i = 0; i < view.size(); ++i) {
    int64_t rest = i, element = 0;
    for (size_t axis = dims.size(); axis-- > 0; rest /= dims[axis]) {
      element += rest % dims[axis] * view.strides[axis];
    }
    for (int64_t b = 0; b < size_of(view.dtype); ++b) {
      f(offset + element * size_of(view.dtype) + b);
    }
  }
}

/// What flows by the bytes that steps read and write, each with the last step that wrote it.
std::set<Arrow> flow_of_bytes(const Plan& plan) {
  std::map<std::tuple<Plan::Place, uint32_t, int64_t>, StepId> writer;
  const auto id = [](const Plan::Source& source, int64_t byte) {
    return std::tuple(source.place, source.place == Plan::Place::arena ? 0 : source.index, byte);
  };
  std::set<Arrow> flow;
  for (const StepId s : plan.steps.ids()) {
    const Plan::Step& step = plan.steps[s];
    for (const ViewId i : step.input_views()) {
      const Plan::Source& source = plan.sources[i];
      for_each_byte(plan.views[i], source.offset, [&](int64_t byte) {
        const auto found = writer.find(id(source, byte));
        if (found != writer.end()) {
          flow.emplace(step_name(found->second), index(s));
        } else {
          // Nothing in the arena or in a result is read before it was written.
          if (source.place != Plan::Place::leaf && source.place != Plan::Place::known) {
            FAIL("step " << index(s) << " reads what nobody wrote");
          }
          flow.emplace("v" + std::to_string(source.index), index(s));
        }
      });
    }
    const auto write = [&](ViewId i) {
      for_each_byte(plan.views[i], plan.sources[i].offset,
                    [&](int64_t byte) { writer[id(plan.sources[i], byte)] = s; });
    };
    for (uint32_t i = 0; i < step.inputs; ++i) {
      if (i < 32 && (step.op->traits.mutates >> i & 1) != 0) write(step.first_input + i);
    }
    for (const ViewId i : step.output_views()) write(i);
  }
  return flow;
}

/// Attention with a residual, a loss and its gradients: strided pieces, sums in products, fusion.
std::vector<Var> record_attention(const MultiHeadOptions& options) {
  MultiHeadAttention attention(8, 2, Key{1}, options);
  LayerNorm norm(8);
  const Var x = as_var(uniform(Key{2}, {2, 3, 8}));
  const Var y = x + attention(norm(x), causal());
  const Var loss = sum(square(norm(y)) * 0.5);
  std::vector<Parameter> all = parameters(attention);
  for (const Parameter& parameter : parameters(norm)) all.push_back(parameter);
  std::vector<Var> wrt{x};
  for (const Parameter& parameter : all) wrt.push_back(as_var(parameter));
  std::vector<Var> targets = grad(loss, wrt);
  targets.push_back(loss);
  return targets;
}

TEST_CASE("a wait for memory is no flow") {
  Executor executor({.threads = 1});
  Tape tape;
  const Var x = as_var(zeros({64, 64}));
  const Var a = matmul(x, x);
  const Var b = softmax(sum(a, {0}));
  const Var d = matmul(reshape(b, {64, 1}), reshape(b, {1, 64}));  // where a was
  const auto plan = plan_of(executor, {sum(matmul(d, d))});
  const Picture picture = picture_of(*plan, tape.graph());
  INFO(picture.text);
  const std::string leaf = "v" + std::to_string(plan->sources.front().index);
  CHECK(picture.solid ==
        std::set<Arrow>{{leaf, 0}, {"s0", 1}, {"s1", 2}, {"s2", 3}, {"s3", 4}, {"s4", 5}});
  CHECK(picture.dashed.count({"s1", 3}) == 1);  // d waits for the last reader of a
  check_waits(*plan, picture);
  // The wanted sum leaves the plan: it has a double frame, and it alone.
  CHECK_THAT(picture.text, Contains("  s5 [label=\"sum\\n[]\", peripheries=2];"));
  CHECK_THAT(picture.text, !Contains("  s4 [label=\"matmul\\n[64, 64]\", peripheries=2];"));
}

TEST_CASE("of a plan that fuses nothing, what flows is what was recorded") {
  // Memory is used again at each chance, and with room to spare.
  const int threads = GENERATE(1, 2);
  Executor executor({.threads = threads, .fuse = false});
  Tape tape;
  std::vector<Var> values{as_var(uniform(Key{1}, {6, 6})), as_var(uniform(Key{2}, {6, 6}))};
  const Key key{3};
  for (uint64_t i = 0; i < 120; ++i) {
    const auto pick = [&](uint64_t which) {
      const int64_t back = std::min<int64_t>(static_cast<int64_t>(values.size()), 9);
      return values[values.size() - 1 - static_cast<size_t>(key.fold(i).below(back, which))];
    };
    const Var x = pick(1), y = pick(2);
    switch (key.fold(i).below(7, 3)) {
      case 0:
        values.push_back(matmul(x, y));
        break;
      case 1:
        values.push_back(x + transpose(y));
        break;
      case 2:
        values.push_back(softmax(x));
        break;
      case 3:
        values.push_back(concat({slice(x, 0, 1, 4), slice(y, 0, 3, 6)}, 0));
        break;
      case 4:
        values.push_back(tanh(x) * slice(y, 1, 2, 3));
        break;
      case 5:
        values.push_back(reshape(transpose(x), {6, 6}));
        break;
      default:
        values.push_back(x - sum(y, {0}));
    }
  }
  const auto plan = plan_of(executor, {sum(values.back()), values[values.size() - 20]});
  REQUIRE(plan->steps.size() > 60);
  const Picture picture = picture_of(*plan, tape.graph());
  CHECK(picture.solid == recorded_flow(*plan, tape.graph()));
  CHECK(!picture.dashed.empty());
  check_waits(*plan, picture);
}

TEST_CASE("in fused plans with pieces and residuals, what flows is what each byte says") {
  for (const int threads : {1, 2}) {
    for (const PositionKind kind : {PositionKind::none, PositionKind::rotary}) {
      Executor executor({.threads = threads});
      Tape tape;
      const RelativePositions positions({.kind = kind, .heads = 2, .depth = 4});
      const auto plan = plan_of(executor, record_attention({.positions = positions}));
      const Picture picture = picture_of(*plan, tape.graph());
      CHECK(picture.solid == flow_of_bytes(*plan));
      check_waits(*plan, picture);
    }
  }
}

/// Elements of a memory of 256 doubles, with any strides and at any place.
TensorView random_view(const Key& key, int64_t& offset) {
  static constexpr DType types[] = {DType::float32, DType::float64, DType::boolean};
  TensorView view;
  view.dtype = types[key.below(3, 0)];
  const int64_t rank = key.below(4, 1);
  int64_t first = 0, last = 0;  // elements that it reaches
  for (int64_t axis = 0; axis < rank; ++axis) {
    const auto draw = static_cast<uint64_t>(4 * axis);
    const int64_t size = 1 + key.below(4, 2 + draw);
    const int64_t stride = key.below(25, 3 + draw) - 12;
    view.shape.push_back(size);
    view.strides[static_cast<size_t>(axis)] = stride;
    (stride < 0 ? first : last) += stride * (size - 1);
  }
  const int64_t bytes = size_of(view.dtype);
  offset = (-first + key.below(256 - (last - first), 20)) * bytes;
  return view;
}

TEST_CASE("any views of any memory: what flows is what each byte says") {
  static const Op op{.name = "op", .shape = nullptr, .cpu = {.forward = nullptr}};
  const Key key{11};
  for (uint64_t round = 0; round < 60; ++round) {
    Plan plan;
    const auto add = [&](const TensorView& view, Plan::Place place, uint32_t index,
                         int64_t offset) {
      plan.views.push_back(view);
      plan.sources.push_back({place, index, offset});
    };
    const auto step = [&](uint32_t inputs, uint32_t outputs) {
      Plan::Step made{};
      made.op = &op;
      made.nodes = 1;
      const auto views = static_cast<uint32_t>(plan.views.size());
      made.first_output = ViewId{views - outputs};
      made.outputs = outputs;
      made.first_input = ViewId{views - outputs - inputs};
      made.inputs = inputs;
      plan.steps.push_back(made);
    };
    // The first step writes all that there is: the arena and two results.
    const TensorView all{nullptr, DType::float64, {256}, {1}};
    add(all, Plan::Place::arena, 0, 0);
    add(all, Plan::Place::result, 0, 0);
    add(all, Plan::Place::result, 1, 0);
    step(0, 3);
    for (uint64_t s = 1; s < 25; ++s) {
      for (uint64_t i = 0; i < 4; ++i) {
        const Key draw = key.fold(round).fold(s).fold(i);
        int64_t offset = 0;
        const TensorView view = random_view(draw, offset);
        const int64_t memory = draw.below(4, 30);
        if (memory < 2) {
          add(view, Plan::Place::arena, static_cast<uint32_t>(draw.below(9, 31)), offset);
        } else {
          add(view, Plan::Place::result, static_cast<uint32_t>(memory - 2), offset);
        }
      }
      step(2, 2);
    }
    const Graph graph;
    CHECK(picture_of(plan, graph).solid == flow_of_bytes(plan));
  }
}

TEST_CASE("an update reads the gradient and is read by what comes after it") {
  static const Op doubling{.name = "doubling",
                           .shape = [](ShapeContext& c) { c.output({0}, c.dtype()); },
                           .traits = {.mutates = 1},
                           .cpu = {.forward = [](const ForwardContext&) {}}};
  Executor executor({.threads = 1});
  Parameter weight(zeros({4, 4}));
  weight.state()->name = "a \"quoted\" \\ name";
  Tape tape;
  const Var w = as_var(weight);
  const Var before = softmax(w);
  const Var update = record(doubling, Arg(w));
  const Var after = matmul(w, w);
  const auto plan = plan_of(executor, {before, update, after});
  const Picture picture = picture_of(*plan, tape.graph());
  INFO(picture.text);
  CHECK(picture.solid == flow_of_bytes(*plan));
  std::map<std::string_view, StepId> at;
  for (const StepId s : plan->steps.ids()) at[plan->steps[s].op->name] = s;
  const std::string leaf = "v" + std::to_string(plan->sources.front().index);
  CHECK(picture.solid == std::set<Arrow>{{leaf, index(at["softmax"])},
                                         {leaf, index(at["doubling"])},
                                         {step_name(at["doubling"]), index(at["matmul"])}});
  // It waits for the reader of the old value.
  CHECK(picture.dashed.count({step_name(at["softmax"]), index(at["doubling"])}) == 1);
  CHECK_THAT(picture.text, Contains(R"([label="a \"quoted\" \\ name", shape=cylinder])"));
}

TEST_CASE("what an earlier run computed is drawn as given") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  Tape tape;
  const Var x = as_var(zeros({3, 5}));
  const Var y = softmax(x);
  executor.run({y});
  const auto plan = plan_of(executor, {sum(y)});
  const Picture picture = picture_of(*plan, tape.graph());
  CHECK(picture.nodes.size() == 2);
  CHECK(picture.solid.size() == 1);
  CHECK_THAT(picture.text, Contains("[label=\"[3, 5]\\ncomputed before\", shape=ellipse]"));
}

}  // namespace
}  // namespace rapt
