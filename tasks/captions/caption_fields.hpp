// The options of caption models: one description for files, commands and print.
#pragma once

#include "models/captioner.hpp"
#include "tasks/model_files/fields.hpp"
#include "tasks/scores/caption_scores.hpp"

namespace rapt::tasks {

template <class Visitor>
void fields(Visitor& v, ImageEncoderOptions& o) {
  std::vector<std::int64_t> channels, blocks;
  for (const ImageEncoderOptions::Stage& stage : o.stages) {
    channels.push_back(stage.channels);
    blocks.push_back(stage.blocks);
  }
  v.number("height", o.height, nullptr);
  v.number("width", o.width, nullptr);
  v.list("channels", "stages", channels, nullptr);
  v.list("blocks", "stages", blocks, nullptr);
  v.number("groups", o.groups,
           "groups of channels that are normalised together; 0: each position by itself");
  v.number("memory", o.memory, "width of the grid's vectors");
  v.number("words", o.words, nullptr);
  o.stages.clear();
  for (std::size_t i = 0; i < channels.size(); ++i) o.stages.push_back({channels[i], blocks[i]});
}

/// The number of words follows from the vocabulary beside the model.
template <class Visitor>
void fields(Visitor& v, GruCaptionerOptions& o) {
  fields(v, o.image);
  v.number("embed", o.embed, "width of the embeddings");
  v.number("hidden", o.hidden, "width of the states");
  v.number("readout", o.readout, "width of the layer before the output; 0: none");
}

/// The name of the width differs from that of the picture's.
template <class Visitor>
void fields(Visitor& v, TransformerDecoderOptions& o) {
  v.number("layers", o.layers, "decoder layers");
  v.number("decoder_width", o.width, "width of the layers");
  v.number("heads", o.heads, "heads of attention");
  v.number("feed_forward", o.feed_forward, "inner width");
  v.flag("norm_first", o.norm_first, "normalise the input of each layer, not its output");
  v.flag("tied", o.tied, nullptr);
  v.number("max_length", o.max_length, nullptr);
}

template <class Visitor>
void fields(Visitor& v, TransformerCaptionerOptions& o) {
  fields(v, o.image);
  fields(v, o.decoder);
}

template <class Visitor>
void fields(Visitor& v, CaptionWords& o) {
  v.flag("lower", o.lower, "lower-case captions");
  v.flag("strip_punctuation", o.strip_punctuation, "leave out ASCII punctuation");
}

}  // namespace rapt::tasks
