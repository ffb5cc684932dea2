"""Example of the Python API: `python docs/example.py [DATASET]`, by default on the built-in digits."""

import sys

import mnistae


def main(dataset: str) -> None:
    """Train a network and print a few results."""
    images, labels = mnistae.read_dataset(dataset)  # uint8 (n, 28, 28) and (n,); label 255 means unlabelled

    for epoch in mnistae.train(dataset, recipe="fast", name="example", force=True):
        print(f"epoch {epoch.number}: loss {epoch.loss:.4f}")
    model = mnistae.load("example")  # any run of the store, or a .safetensors file

    codes = model.encode(images[:2])  # (2, 8)
    print(f"code of the first image, label {labels[0]}: {codes[0].round(1)}")

    result = model.reconstruct(images[:100])
    print(f"reconstructed: MSE {result.metrics.mse.mean():.4f}, images {result.outputs.shape}")

    denoised = model.denoise(images[:100], "uniform", level=0.625)
    print(f"denoised: PSNR {denoised.before.psnr.mean():.1f} before, {denoised.after.psnr.mean():.1f} after")

    frames = model.interpolate(images[:2], steps=8)  # (8, 28, 28), floats in [0, 1]
    print(f"interpolated: {len(frames)} frames from label {labels[0]} to {labels[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["glyphs"])
