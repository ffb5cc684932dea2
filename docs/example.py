"""The Python interface in use: `python docs/example.py [DATA]`, by default on the built-in digits."""

import sys

import mnistae


def main(data: str) -> None:
    """Train a network and print what it makes of a few digits."""
    images, labels = mnistae.read_dataset(data)  # uint8 (n, 28, 28) and (n,)

    for epoch in mnistae.train(data, recipe="fast", name="example", force=True):
        print(f"epoch {epoch.number}: loss {epoch.loss:.4f}")
    model = mnistae.load("example")  # any run of the store, or a .safetensors file

    codes = model.encode(images[:2])  # (2, 8)
    print(f"the {labels[0]} has the code {codes[0].round(1)}")

    found = model.reconstruct(images[:100])
    print(f"reconstructed: MSE {found.measures.mse.mean():.4f}, images {found.outputs.shape}")

    clean = model.denoise(images[:100], "uniform", level=0.625)
    print(f"denoised: PSNR {clean.before.psnr.mean():.1f} before, {clean.after.psnr.mean():.1f} after")

    film = model.interpolate(images[:2], steps=8)  # (8, 28, 28), floats in [0, 1]
    print(f"a film of {len(film)} frames from {labels[0]} to {labels[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["glyphs"])
