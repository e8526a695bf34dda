// Image encoder: turns a picture into a grid of vectors that a decoder attends to.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "framework/core/api.hpp"
#include "models/layers/convolution.hpp"
#include "models/layers/linear.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Group normalisation (Wu and He 2018), as torch.nn.GroupNorm. Normalises each group of channels
/// over all positions of the picture.
struct GroupNorm {
  Parameter weight;  ///< [C], ones
  Parameter bias;    ///< [C], zeros
  int64_t groups = 1;
  double eps = 1e-5;

  GroupNorm() = default;
  /// Throws Error if `groups` does not divide `channels`.
  GroupNorm(int64_t groups, int64_t channels);

  /// x [B, C, H, W] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

/// Normalises the channels of each position by themselves, as torchvision's LayerNorm2d (Liu et al.
/// 2022, "A ConvNet for the 2020s"). Unlike with GroupNorm, the result at a position does not
/// depend on the rest of the picture.
struct LayerNorm2d {
  Parameter weight;  ///< [C], ones
  Parameter bias;    ///< [C], zeros
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

/// A 3 x 3 convolution followed by a normalisation.
struct NormedConvolution {
  Conv2d convolution;
  std::variant<GroupNorm, LayerNorm2d> norm;

  NormedConvolution() = default;
  /// `groups` is the number of channel groups of GroupNorm; 0 selects LayerNorm2d.
  NormedConvolution(int64_t in, int64_t out, int64_t stride, int64_t groups, Key key);

  /// x [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)].
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("convolution", convolution);
    std::visit([&](auto& own) { f("norm", own); }, norm);
  }
};

/// Residual block: relu(x + second(relu(first(x)))) (He et al. 2016).
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
  int64_t height = 64, width = 64;  ///< size of the input pictures
  struct Stage {
    int64_t channels;
    int64_t blocks = 0;
  };
  /// Each stage halves height and width, rounding up. It then applies `blocks` residual blocks.
  std::vector<Stage> stages = {{32}, {64, 1}, {128, 1}};
  int64_t groups = 8;    ///< number of channel groups of GroupNorm; 0: LayerNorm2d
  int64_t memory = 256;  ///< width M of the output vectors
  double dropout = 0;    ///< dropout of the output vectors
  int64_t words = 0;     ///< number of outputs of ImageEncoder::words; 0: no head
};

/// A small residual network that is trained from scratch. It gives one vector per position of its
/// last feature map. That vector is the projected channels, plus a learned vector of the row and a
/// learned vector of the column, normalised.
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
  Parameter rows;     ///< [H', 1, M]
  Parameter columns;  ///< [1, W', M]
  LayerNorm norm;
  /// Optional head that predicts which words occur in a picture's captions. It gives an encoder
  /// that is trained from scratch a training signal of its own (after Fang et al. 2015, section 3).
  std::optional<Linear> words;
  Dropout dropout;
  int64_t height = 0, width = 0;

  ImageEncoder() = default;
  /// Throws Error if there are no stages, or for an option out of range.
  ImageEncoder(const ImageEncoderOptions& options, Key key);

  int64_t grid_height() const { return rows.shape()[0]; }
  int64_t grid_width() const { return columns.shape()[1]; }
  /// Maps images [B, 3, height, width] to [B, H' W', M], the rows of the grid one after the other.
  /// Throws Error for any other shape.
  Var operator()(const Arg& images) const;
  /// Maps the encoder's output [B, S, M] to logits [B, words], computed from the mean over
  /// positions. Throws Error if the encoder has no such head.
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

}  // namespace v0
}  // namespace rapt
