"""Writes what PyTorch's own modules compute: state, inputs, output and gradients of a loss, as
safetensors files in the folder given, for tests/models/torch_test.cpp. Ends with 77 where there is no
torch."""
import json
import struct
import sys

try:
    import torch
    from torch import nn
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

TYPES = {torch.float32: "F32", torch.int32: "I32", torch.bool: "BOOL"}


def save(name, tensors):
    header, data = {}, b""
    for key, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        raw = tensor.numpy().tobytes()
        header[key] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    with open(f"{sys.argv[1]}/{name}.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def export(name, module, inputs, output):
    """The loss is the sum of output * upstream, with an upstream gradient of random numbers."""
    upstream = torch.randn_like(output)
    (output * upstream).sum().backward()
    tensors = {"input/" + key: value for key, value in inputs.items()}
    tensors["output"] = output
    tensors["upstream"] = upstream
    for key, value in module.state_dict().items():
        tensors["state/" + key] = value
    for key, value in module.named_parameters():
        tensors["grad/" + key] = value.grad
    for key, value in inputs.items():
        if value.grad is not None:
            tensors["grad/input/" + key] = value.grad
    save(name, tensors)


def padding(lengths, size):
    """True at padded places."""
    return torch.arange(size)[None, :] >= torch.tensor(lengths)[:, None]


def causal(size):
    """True where a place must not look."""
    return torch.triu(torch.ones(size, size, dtype=torch.bool), 1)


def randomise(module):
    """Biases and norms start at zeros and ones: then a mix-up would not show."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 0.5, 0.3)


def attention():
    module = nn.MultiheadAttention(12, 3, batch_first=True)
    randomise(module)
    x = torch.randn(2, 5, 12, requires_grad=True)
    output, _ = module(x, x, x, attn_mask=causal(5))
    export("attention", module, {"x": x}, output)
    module.zero_grad()
    x = torch.randn(2, 4, 12, requires_grad=True)
    memory = torch.randn(2, 6, 12, requires_grad=True)
    output, _ = module(x, memory, memory, key_padding_mask=padding([6, 2], 6))
    export("cross_attention", module, {"x": x, "memory": memory}, output)


class Translator(nn.Module):
    def __init__(self, norm_first, activation):
        super().__init__()
        inner = nn.Transformer(16, 4, 2, 2, 24, 0.0, activation, batch_first=True,
                               norm_first=norm_first)
        self.source_embedding = nn.Embedding(11, 16)
        self.target_embedding = nn.Embedding(13, 16)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.output = nn.Linear(16, 13)

    def forward(self, source, target):
        pad = source == 0
        x, y = self.source_embedding(source) * 4, self.target_embedding(target) * 4
        memory = self.encoder(x, src_key_padding_mask=pad)
        seen = self.decoder(y, memory, tgt_mask=causal(target.shape[1]),
                            memory_key_padding_mask=pad)
        return self.output(seen)


def transformer(name, **options):
    module = Translator(**options)
    randomise(module)
    source = torch.randint(1, 11, (3, 6), dtype=torch.int32)
    source[1, 4:] = 0
    source[2, 1:] = 0
    target = torch.randint(1, 13, (3, 5), dtype=torch.int32)
    export(name, module, {"source": source, "target": target}, module(source, target))


def recurrent(name, kind):
    module = kind(5, 7, num_layers=2, bidirectional=True, batch_first=True)
    lengths = torch.tensor([6, 3, 1])
    x = torch.randn(3, 6, 5, requires_grad=True)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    states, last = module(packed)
    states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    last = last if isinstance(last, tuple) else (last,)
    seen = ~padding([6, 3, 1], 6)[:, :, None]
    output = torch.cat([(states * seen).flatten()] + [part.flatten() for part in last])
    export(name, module, {"x": x, "lengths": lengths.int()}, output)


torch.manual_seed(3)
attention()
transformer("transformer", norm_first=False, activation="relu")
transformer("transformer_norm_first", norm_first=True, activation="gelu")
recurrent("gru", nn.GRU)
recurrent("lstm", nn.LSTM)
