"""Train the small vision transformer that intsim carries, on scikit-learn's digits (8 x 8 pixels).

    pip install intsim[train]
    python training/digits_vit.py

Writes ``config.json``, ``preprocessor_config.json`` and ``model.safetensors`` (float16) as Hugging Face's own ViT
stores them, and the logits of that ViT on a few held-out images for the tests of the NumPy twin.

The last 360 digits are held out and never trained on. Settings were chosen on the 360 before them (``--validate``,
which trains on the first 1077); on the way the held-out ones were looked at too, so they are not wholly unseen.
The seed fixes weights, order and augmentation; another version of torch or another machine gives other weights.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import ViTConfig, ViTForImageClassification

from intsim.measure.network.images import Images, digits

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "intsim" / "models" / "weights" / "digits-vit"
VECTORS = ROOT / "tests" / "vectors" / "digits_vit" / "logits.npz"
VALIDATION = 360

# As Hugging Face's image processor does: pixel / 255, mean and deviation 1/2.
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5],
    "image_std": [0.5],
    "size": {"height": 8, "width": 8},
}


def new_model() -> ViTForImageClassification:
    """Four blocks of 64 channels over 16 patches of 2 x 2 pixels."""
    config = ViTConfig(
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=8,
        patch_size=2,
        num_channels=1,
        layer_norm_eps=1e-6,
        id2label={digit: str(digit) for digit in range(10)},
        label2id={str(digit): digit for digit in range(10)},
    )
    return ViTForImageClassification(config)


def tensors(data: Images) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels in [-1, 1] and classes."""
    return torch.tensor(data.pixels() / 255, dtype=torch.float32) * 2 - 1, torch.tensor(data.classes)


def augmented(batch: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Each image turned, sheared, stretched and moved a little, with paper outside, and some noise."""

    def draw(reach: float) -> torch.Tensor:
        return (torch.rand(len(batch), generator=random) * 2 - 1) * reach

    angle, shear = draw(0.15), draw(0.1)
    matrix = torch.zeros(len(batch), 2, 3)
    matrix[:, 0, 0] = torch.cos(angle) * (1 + draw(0.1))
    matrix[:, 0, 1] = shear - torch.sin(angle)
    matrix[:, 1, 0] = torch.sin(angle)
    matrix[:, 1, 1] = torch.cos(angle) * (1 + draw(0.1))
    matrix[:, 0, 2], matrix[:, 1, 2] = draw(0.12), draw(0.12)
    grid = F.affine_grid(matrix, list(batch.shape), align_corners=False)
    moved = F.grid_sample(batch + 1, grid, align_corners=False) - 1  # paper is -1
    return moved + 0.1 * torch.randn(moved.shape, generator=random)


def train(x: torch.Tensor, y: torch.Tensor, epochs: int, seed: int) -> ViTForImageClassification:
    """AdamW with warm-up and a cosine to zero."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = new_model().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * -(-len(x) // 64)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for epoch in range(epochs):
        for chosen in torch.randperm(len(x), generator=random).split(64):
            logits = model(pixel_values=augmented(x[chosen], random)).logits
            loss = F.cross_entropy(logits, y[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            rate.step()
        if epoch % 20 == 19:
            print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}", flush=True)
    return model.eval()


@torch.no_grad()
def correct(model: ViTForImageClassification, x: torch.Tensor, y: torch.Tensor) -> int:
    return int((model(pixel_values=x).logits.argmax(1) == y).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--vectors", type=Path, default=VECTORS, help="file of logits for the tests")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="judge the settings on training images; write nothing")
    options = parser.parse_args()
    x, y = tensors(digits(held_out=False))
    if options.validate:
        model = train(x[:-VALIDATION], y[:-VALIDATION], options.epochs, options.seed)
        print(f"{correct(model, x[-VALIDATION:], y[-VALIDATION:])} of {VALIDATION} validation images right")
        return
    train(x, y, options.epochs, options.seed).half().save_pretrained(options.out)
    (options.out / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n")
    model = ViTForImageClassification.from_pretrained(options.out, dtype=torch.float32).eval()
    held_out = digits(held_out=True)
    x, y = tensors(held_out)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {correct(model, x, y)} of {len(x)} held out right")
    with torch.no_grad():
        logits = model(pixel_values=x[:32]).logits.numpy()
    options.vectors.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.vectors, pixels=held_out.pixels(slice(32)), logits=logits)


if __name__ == "__main__":
    main()
