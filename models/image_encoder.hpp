// From a picture to a grid of vectors, which a decoder looks at.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "framework/core/api.hpp"
#include "models/layers/convolution.hpp"
#include "models/layers/linear.hpp"

namespace rapt RAPT_API {

/// Normalises groups of channels, each over all its places (Wu and He 2018), torch.nn.GroupNorm.
struct GroupNorm {
  Parameter weight;  // [C], ones
  Parameter bias;    // [C], zeros
  int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  /// Throws Error where `groups` does not divide `channels`.
  GroupNorm(int64_t groups, int64_t channels);

  /// x [B, C, H, W] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

/// Normalises the channels of each place by themselves, torchvision's LayerNorm2d (Liu et al. 2022,
/// "A ConvNet for the 2020s"): unlike GroupNorm's, what it makes of a place does not depend on what
/// else the picture shows.
struct LayerNorm2d {
  Parameter weight;  // [C], ones
  Parameter bias;    // [C], zeros
  double eps = 1e-6;

  LayerNorm2d() = default;
  explicit LayerNorm2d(int64_t channels);

  /// x [B, C, H, W] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

/// A 3 x 3 convolution and its normalisation.
struct NormedConvolution {
  Conv2d convolution;
  std::variant<GroupNorm, LayerNorm2d> norm;

  NormedConvolution() = default;
  /// `groups` of channels for GroupNorm; 0: LayerNorm2d.
  NormedConvolution(int64_t in, int64_t out, int64_t stride, int64_t groups, Key key);

  /// x [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)].
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("convolution", convolution);
    std::visit([&](auto& own) { f("norm", own); }, norm);
  }
};

/// relu(x + second(relu(first(x)))) (He et al. 2016).
struct ResidualBlock {
  NormedConvolution first, second;

  ResidualBlock() = default;
  ResidualBlock(int64_t channels, int64_t groups, Key key);

  /// x [B, C, H, W] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("first", first);
    f("second", second);
  }
};

struct ImageEncoderOptions {
  int64_t height = 64, width = 64;  // of the pictures
  struct Stage {
    int64_t channels;
    int64_t blocks = 0;
  };
  /// Each halves height and width, rounding up, and goes on with so many residual blocks.
  std::vector<Stage> stages = {{32}, {64, 1}, {128, 1}};
  int64_t groups = 8;    // of channels for GroupNorm; 0: LayerNorm2d
  int64_t memory = 256;  // width of the vectors
  double dropout = 0;    // of the vectors
  int64_t words = 0;     // of ImageEncoder::words; 0: none
};

/// A small residual network, trained from scratch, and for each place of its last plane a vector:
/// its channels, projected, plus a vector of the row and one of the column, both learned,
/// normalised.
struct ImageEncoder {
  struct Stage {
    NormedConvolution down;
    std::vector<ResidualBlock> blocks;
    void visit(auto&& f) {
      f("down", down);
      f("blocks", blocks);
    }
  };
  std::vector<Stage> stages;
  Linear project;
  Parameter rows;     // [H', 1, M]
  Parameter columns;  // [1, W', M]
  LayerNorm norm;
  /// A head that says of words whether a picture's captions have them: what an encoder trained from
  /// scratch learns to see with (after Fang et al. 2015, section 3).
  std::optional<Linear> words;
  Dropout dropout;
  int64_t height = 0, width = 0;

  ImageEncoder() = default;
  /// Throws Error for no stages, or a size below 1.
  ImageEncoder(const ImageEncoderOptions& options, Key key);

  int64_t grid_height() const { return rows.shape()[0]; }
  int64_t grid_width() const { return columns.shape()[1]; }
  /// images [B, 3, height, width] -> [B, H' W', M], the grid's rows one after the other. Throws
  /// Error for another shape.
  Var operator()(const Arg& images) const;
  /// What that gave, [B, S, M] -> [B, words]: logits, of the mean over the places. Throws Error
  /// without the head.
  Var words_of(const Arg& memory) const;
  void visit(auto&& f) {
    f("stages", stages);
    f("project", project);
    f("rows", rows);
    f("columns", columns);
    f("norm", norm);
    f("words", words);
  }
};

}  // namespace rapt
