"""Out of GPU memory: `python memory_limit.py cuda` limits a run to 64 MiB and shows how it ends."""

import sys

import torch

from mnistae.cli import main as cli


def main() -> int:
    """Train; return 0 if the exit code is 5."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / total)
    sys.argv[1:] = ["train", "--device", sys.argv[1], "--epochs", "1", "--name", "starved", "--force", "--json"]
    code = cli.run()
    print(f"exit code {code}")
    return 0 if code == 5 else 1


if __name__ == "__main__":
    sys.exit(main())
