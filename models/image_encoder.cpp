#include "models/image_encoder.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/norm.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::inline v0 {

GroupNorm::GroupNorm(int64_t group_count, int64_t channels)
    : weight(full({channels}, 1)), bias(zeros({channels})), groups(group_count) {
  if (groups < 1 || channels % groups != 0) {
    throw Error(fmt::format("GroupNorm: {} groups do not divide {} channels", groups, channels));
  }
}

Var GroupNorm::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Var input = as_var(x);
  const Shape shape = input.shape();  // [B, C, H, W]
  const int64_t B = shape[0], C = weight.shape()[0], size = C / groups * shape[2] * shape[3];
  const Tensor one = full({size}, 1, input.dtype()), zero = zeros({size}, input.dtype());
  const Var normed = layer_norm(reshape(input, {B, groups, size}), one, zero, eps);
  return reshape(normed, shape) * reshape(weight, {C, 1, 1}) + reshape(bias, {C, 1, 1});
}

LayerNorm2d::LayerNorm2d(int64_t channels) : weight(full({channels}, 1)), bias(zeros({channels})) {}

Var LayerNorm2d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Var places = permute(x, {0, 2, 3, 1});  // [B, H, W, C]
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
    : norm(o.memory), dropout{o.dropout}, height(o.height), width(o.width) {
  if (o.stages.empty() || height < 1 || width < 1) {
    throw Error(fmt::format("ImageEncoder: {} stages for pictures of {} x {}", o.stages.size(),
                            width, height));
  }
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
    throw Error({.op = "ImageEncoder",
                 .detail = fmt::format("expected pictures [B, 3, {}, {}], got {}", height, width,
                                       to_string(x.shape())),
                 .place = place_of(images.where)});
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
  if (!words) throw Error("ImageEncoder: has no head for words, see ImageEncoderOptions::words");
  return (*words)(mean(memory, {1}));
}

}  // namespace rapt::v0
