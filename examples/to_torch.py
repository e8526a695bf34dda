#!/usr/bin/env python3
"""Builds the PyTorch modules of a model that rapt has trained.

    python3 examples/to_torch.py FOLDER_OR_FILE OUTPUT.pt     writes the state_dict
    model = to_torch.load("FOLDER_OR_FILE")                   from Python

load() takes a folder of `translate train` (Transformer or GRU) or a file of `char_gpt`. It needs torch
and nothing else: positions are sinusoidal, learned or none. Modules give logits: of a translator
for (source, target), of a GPT for (ids).
"""
import json
import math
import pathlib
import re
import struct
import sys

import torch
from torch import nn

TYPES = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32}
# What PyTorch calls the parts of a path. Slashes become dots afterwards.
NAMES = [(r"(^|/)forward/(\d+)/(\w+)$", r"\1\3_l\2"), (r"(^|/)backward/(\d+)/(\w+)$", r"\1\3_l\2_reverse"),
         (r"^(encoder|decoder)/(\d+)/", r"\1/layers/\2/"), (r"^layers/(\d+)/", r"layers/layers/\1/"),
         (r"^(encoder|decoder)_norm/", r"\1/norm/"), (r"in_proj/", "in_proj_"),
         (r"self_attention/", "self_attn/"), (r"cross_attention/", "multihead_attn/"),
         (r"feed_forward/up/", "linear1/"), (r"feed_forward/down/", "linear2/")]


def tensors(path):
    """The tensors of a safetensors file, and its metadata."""
    data = pathlib.Path(path).read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:begin])
    said = header.pop("__metadata__", {})
    state = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        flat = torch.frombuffer(bytearray(data[begin + first:begin + last]), dtype=TYPES[entry["dtype"]])
        state[name] = flat.reshape(entry["shape"])
    return state, said


def read(path):
    """The tensors under PyTorch's names, and the metadata."""
    state, said = tensors(path)
    named = {}
    for name, tensor in state.items():
        for pattern, by in NAMES:
            name = re.sub(pattern, by, name)
        named[name.replace("/", ".")] = tensor
    return named, said


def sinusoids(length, width):
    angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], -1).reshape(length, -1)[:, :width]


def places(kind, length, width):
    """A table to add to embeddings, learned or not."""
    table = nn.Embedding(length, width)
    if kind not in ("sinusoidal", "learned", "none"):
        raise SystemExit(f"positions of kind '{kind}' have no counterpart in torch.nn")
    if kind != "learned":
        table.weight.data = sinusoids(length, width) if kind == "sinusoidal" else torch.zeros(length, width)
    return table


def causal(size):
    return torch.full((size, size), -math.inf).triu(1)


class Transformer(nn.Module):
    def __init__(self, o):
        super().__init__()
        width, length = int(o["width"]), int(o["max_length"])
        inner = nn.Transformer(width, int(o["heads"]), int(o["encoder_layers"]), int(o["decoder_layers"]),
                               int(o["feed_forward"]), 0, o["activation"], batch_first=True,
                               norm_first=o["norm_first"] == "1")
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.source_embedding = nn.Embedding(int(o["source_vocab"]), width)
        self.target_embedding = nn.Embedding(int(o["target_vocab"]), width)
        self.source_positions = places(o["positions"], length, width)
        self.target_positions = places(o["positions"], length, width)
        self.output = nn.Linear(width, int(o["target_vocab"]))
        if o["tying"] == "all":
            self.target_embedding.weight = self.source_embedding.weight
        if o["tying"] != "none":
            self.output.weight = self.target_embedding.weight

    def forward(self, source, target):
        def embed(embedding, positions, ids):
            scale = math.sqrt(embedding.embedding_dim)
            return embedding(ids) * scale + positions.weight[:ids.shape[1]]
        padding = source == 0
        memory = self.encoder(embed(self.source_embedding, self.source_positions, source),
                              src_key_padding_mask=padding)
        x = self.decoder(embed(self.target_embedding, self.target_positions, target), memory,
                         tgt_mask=causal(target.shape[1]), memory_key_padding_mask=padding)
        return self.output(x)


class Attention(nn.Module):
    """Additive attention (Bahdanau et al. 2015)."""
    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(2 * width, width)
        self.v = nn.Parameter(torch.zeros(width))

    def forward(self, state, keys, memory, padding):
        scores = torch.tanh(self.query(state)[:, None] + keys) @ self.v
        weights = scores.masked_fill(padding, -math.inf).softmax(-1)
        return (weights[:, None] @ memory)[:, 0]


class Gru(nn.Module):
    def __init__(self, o):
        super().__init__()
        if o["attention"] != "additive":
            raise SystemExit(f"attention of kind '{o['attention']}' is not written here")
        embed, hidden, readout = int(o["embed"]), int(o["hidden"]), int(o["readout"])
        self.source_embedding = nn.Embedding(int(o["source_vocab"]), embed)
        self.target_embedding = nn.Embedding(int(o["target_vocab"]), embed)
        self.encoder = nn.GRU(embed, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.attention = Attention(hidden)
        self.decoder = nn.GRUCell(embed + 2 * hidden, hidden)
        if readout > 0:
            self.readout = nn.Linear(embed + 3 * hidden, readout)
        self.output = nn.Linear(readout or embed + 3 * hidden, int(o["target_vocab"]))

    def forward(self, source, target):
        lengths = (source != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.source_embedding(source), lengths,
                                                   batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True,
                                                     total_length=source.shape[1])
        keys, padding = self.attention.key(memory), source == 0
        state, logits = torch.tanh(self.bridge(last[1])), []
        for word in self.target_embedding(target).unbind(1):
            context = self.attention(state, keys, memory, padding)
            state = self.decoder(torch.cat([word, context], -1), state)
            read = torch.cat([state, word, context], -1)
            logits.append(self.output(torch.tanh(self.readout(read)) if hasattr(self, "readout") else read))
        return torch.stack(logits, 1)


class Gpt(nn.Module):
    def __init__(self, o):
        super().__init__()
        width, vocab = int(o["width"]), len(o["characters"])
        layer = nn.TransformerEncoderLayer(width, int(o["heads"]), 4 * width, 0, "gelu",
                                           batch_first=True, norm_first=True)
        self.embedding = nn.Embedding(vocab, width)
        self.positions = places("learned", int(o["block"]), width)
        self.layers = nn.TransformerEncoder(layer, int(o["layers"]))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, vocab, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, ids):
        x = self.embedding(ids) + self.positions.weight[:ids.shape[1]]
        return self.output(self.norm(self.layers(x, causal(ids.shape[1]))))


def load(path):
    """The module of a folder or file, ready to use."""
    path = pathlib.Path(path)
    state, said = read(path / "model.safetensors" if path.is_dir() else path)
    kinds = {"rapt Transformer 1": Transformer, "rapt GruSeq2Seq 1": Gru}
    model = (kinds[said["kind"]] if said.get("kind") in kinds else Gpt)(said)
    # Tied tables and tables that are not learned are in no file; every tensor of the file has its place.
    missing, unknown = model.load_state_dict(state, strict=False)
    own = [name for name in missing if not re.match(r"(\w+_positions|(target_embedding|output))\.weight", name)]
    if unknown or own:
        raise SystemExit(f"{path}: unknown {unknown}, missing {own}")
    return model.eval()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.save(load(sys.argv[1]).state_dict(), sys.argv[2])
