#include "models/image_encoder.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/norm.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Throws Error unless x is [B, channels, H, W].
void check_planes(const char* layer, const Shape& x, int64_t channels, SourceLocation where) {
  if (x.rank() == 4 && x[1] == channels) return;
  fail(layer, fmt::format("expected x [B, {}, H, W], got {}", channels, to_string(x)), where);
}

const ImageEncoderOptions& checked(const ImageEncoderOptions& o) {
  const char* const op = "ImageEncoder";
  check_at_least(op, "height", o.height, 1);
  check_at_least(op, "width", o.width, 1);
  if (o.stages.empty()) {
    throw Error({.op = op, .detail = "stages has 0 stages, expected 1 or more"});
  }
  for (const auto& [channels, blocks] : o.stages) {
    check_at_least(op, "stages: channels", channels, 1);
    check_at_least(op, "stages: blocks", blocks, 0);
  }
  check_at_least(op, "groups", o.groups, 0);
  check_at_least(op, "memory", o.memory, 1);
  check_at_least(op, "words", o.words, 0);
  check_share(op, "dropout", o.dropout);
  return o;
}

}  // namespace

GroupNorm::GroupNorm(int64_t group_count, int64_t channels) : groups(group_count) {
  check_at_least("GroupNorm", "groups", groups, 1);
  check_at_least("GroupNorm", "channels", channels, 1);
  if (channels % groups != 0) {
    throw Error({.op = "GroupNorm",
                 .detail = fmt::format("{} groups do not divide {} channels", groups, channels)});
  }
  weight = Parameter(full({channels}, 1));
  bias = Parameter(zeros({channels}));
}

Var GroupNorm::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Var input = as_var(x);
  const Shape shape = input.shape();  // [B, C, H, W]
  check_planes("GroupNorm", shape, weight.shape()[0], x.where);
  const int64_t B = shape[0], C = shape[1], size = C / groups * shape[2] * shape[3];
  const Tensor one = full({size}, 1, input.dtype()), zero = zeros({size}, input.dtype());
  const Var normed = layer_norm(reshape(input, {B, groups, size}), one, zero, eps);
  return reshape(normed, shape) * reshape(weight, {C, 1, 1}) + reshape(bias, {C, 1, 1});
}

LayerNorm2d::LayerNorm2d(int64_t channels) {
  check_at_least("LayerNorm2d", "channels", channels, 1);
  weight = Parameter(full({channels}, 1));
  bias = Parameter(zeros({channels}));
}

Var LayerNorm2d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Arg input(as_var(x), x.where);
  check_planes("LayerNorm2d", input.var()->shape(), weight.shape()[0], x.where);
  const Var places = permute(input, {0, 2, 3, 1});  // [B, H, W, C]
  return permute(layer_norm(places, weight, bias, eps), {0, 3, 1, 2});
}

NormedConvolution::NormedConvolution(int64_t in, int64_t out, int64_t stride, int64_t groups,
                                     Key key)
    : convolution(in, out, 3, key, {.stride = stride, .padding = 1}) {
  if (groups == 0) {
    norm = LayerNorm2d(out);
  } else {
    norm = GroupNorm(groups, out);
  }
}

Var NormedConvolution::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return std::visit([y = convolution(x)](const auto& own) { return own(y); }, norm);
}

ResidualBlock::ResidualBlock(int64_t channels, int64_t groups, Key key)
    : first(channels, channels, 1, groups, key.fold(0)),
      second(channels, channels, 1, groups, key.fold(1)) {}

Var ResidualBlock::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return relu(as_var(x) + second(relu(first(x))));
}

ImageEncoder::ImageEncoder(const ImageEncoderOptions& o, Key key)
    : norm(checked(o).memory), dropout{o.dropout}, height(o.height), width(o.width) {
  int64_t channels = 3, grid_y = height, grid_x = width;
  for (size_t i = 0; i < o.stages.size(); ++i) {
    const auto [out, blocks] = o.stages[i];
    const Key own = key.fold(0).fold(i);
    Stage& stage = stages.emplace_back(Stage{{channels, out, 2, o.groups, own.fold(0)}, {}});
    for (int64_t b = 0; b < blocks; ++b) {
      stage.blocks.emplace_back(out, o.groups, own.fold(static_cast<uint64_t>(b) + 1));
    }
    channels = out;
    grid_y = (grid_y + 1) / 2;
    grid_x = (grid_x + 1) / 2;
  }
  project = Linear(channels, o.memory, key.fold(1));
  if (o.words > 0) words.emplace(o.memory, o.words, key.fold(4));
  rows = Parameter(normal(key.fold(2), {grid_y, 1, o.memory}, 0, 0.5));
  columns = Parameter(normal(key.fold(3), {1, grid_x, o.memory}, 0, 0.5));
}

Var ImageEncoder::operator()(const Arg& images) const {
  const Scope scope(*this, images.where);
  Var x = as_var(images);
  if (x.rank() != 4 || x.size(1) != 3 || x.size(2) != height || x.size(3) != width) {
    fail("ImageEncoder",
         fmt::format("expected pictures [B, 3, {}, {}], got {}", height, width,
                     to_string(x.shape())),
         images.where);
  }
  for (const Stage& stage : stages) {
    x = relu(stage.down(x));  // [B, C, H, W]
    for (const ResidualBlock& block : stage.blocks) x = block(x);
  }
  const Var places = project(permute(x, {0, 2, 3, 1}));            // [B, H', W', M]
  const Var grid = norm(places + as_var(rows) + as_var(columns));  // [B, H', W', M]
  return dropout(reshape(grid, {x.size(0), grid_height() * grid_width(), norm.weight.shape()[0]}));
}

Var ImageEncoder::words_of(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  if (!words) {
    fail("ImageEncoder::words_of", "there is no head for words, see ImageEncoderOptions::words",
         memory.where, ErrorKind::usage);
  }
  const Arg input(as_var(memory), memory.where);
  const Shape shape = input.var()->shape();
  if (shape.rank() != 3 || shape[2] != words->in()) {
    fail("ImageEncoder::words_of",
         fmt::format("expected a memory [B, S, {}], got {}", words->in(), to_string(shape)),
         memory.where);
  }
  return (*words)(mean(input, {1}));
}

}  // namespace v0
}  // namespace rapt
