"""Compares FOLDER/model in PyTorch with the logits of FOLDER/case.safetensors."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "examples"))
import to_torch
import torch

folder = pathlib.Path(sys.argv[1])
case, _ = to_torch.read(folder / "case.safetensors")
model = to_torch.load(folder / "model")
with torch.no_grad():
    logits = model(*[case[name] for name in sorted(case) if name.startswith("input")])
wanted = case["logits"]
if (folder / "state.safetensors").exists():
    # What to_torch() has written: PyTorch's names as they are.
    state = to_torch.tensors(folder / "state.safetensors")[0]
    names = set(model.state_dict())
    assert set(state) <= names, set(state) - names
    for name, tensor in state.items():
        assert torch.equal(tensor, model.state_dict()[name]), name
assert logits.shape == wanted.shape, (logits.shape, wanted.shape)
apart = (logits - wanted).abs().max().item()
print(f"logits up to {wanted.abs().max().item():.3f} are {apart:.2e} apart")
sys.exit(apart > 1e-4)
