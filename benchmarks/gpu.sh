#!/usr/bin/env bash
# All tests and measurements that need a GPU, in a few minutes: `benchmarks/gpu.sh`, or `DEVICE=cpu benchmarks/gpu.sh` to rehearse.
#
# Needs python3 with torch, and MNIST in MNISTAE_DATA_DIR. Missing wheels are installed from the folder WHEELS. Each step has a
# time limit and writes its output to the folder OUT; a failed step does not stop the others.
set -uo pipefail
cd "$(dirname "$0")/.."
export DEVICE=${DEVICE:-cuda} OUT=${OUT:-build/gpu} PYTHON=${PYTHON:-python3} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export MNISTAE_DATA_DIR=${MNISTAE_DATA_DIR:-../shared/data/mnist} MNISTAE_OFFLINE=1 MNISTAE_TEST_DEVICE=$DEVICE
STEPS=${STEPS:-versions train tests quality runs speed}
EPOCHS=50 SEEDS="0 1 2 3 4" RECIPES="best denoise" REST="0 1"
if [[ $DEVICE == cpu ]]; then EPOCHS=2 SEEDS=0 RECIPES="" REST=""; fi # the same steps, small
mkdir -p "$OUT"
OUT=$(realpath "$OUT") MNISTAE_DATA_DIR=$(realpath "$MNISTAE_DATA_DIR")
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
export MNISTAE_HOME=$work/home
if [[ -n ${WHEELS:-} ]]; then
  "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" "$WHEELS"/*.whl
fi
export PYTHONPATH=$PWD/src:$work/site${PYTHONPATH:+:$PYTHONPATH}
mnistae() { "$PYTHON" -m mnistae "$@"; }
sums() { sha256sum "$MNISTAE_HOME/checkpoints/$1/model.safetensors" | cut -d ' ' -f 1; }

# step NAME SECONDS COMMAND…: runs it, keeps what it prints, and says how it ended; WANT is the exit code that is right.
step() {
  local name=$1 limit=$2 started=$SECONDS code verdict
  shift 2
  timeout "$limit" "$@" > "$OUT/$name.log" 2>&1
  code=$?
  [[ $code == "${WANT:-0}" ]] && verdict=ok || verdict=FAILED
  printf '%-6s  %-24s  exit %3d  %3d s  %s\n' $verdict "$name" "$code" $((SECONDS - started)) "$(tail -n 1 "$OUT/$name.log" | cut -c 1-260)" | tee -a "$OUT/steps.txt"
}
cli() { step "$1" "$2" "$PYTHON" -m mnistae "${@:3}"; }
bench() { step "$1" "$2" "$PYTHON" "benchmarks/$3.py" "${@:4}"; }
# same NAME A B: says whether two runs have the same bytes.
same() { step "$1" 10 bash -c '[[ $0 == "$1" ]] && echo "same bytes: $0" || { echo "DIFFERENT: $0 $1"; false; }' "$(sums "$2")" "$(sums "$3")"; }
wants() { [[ " $STEPS " == *" $1 "* ]]; }

if wants versions; then
  step card 20 bash -c 'nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no nvidia-smi"'
  cli doctor 60 doctor
fi
if wants train; then
  cli "train-lab" 180 train --epochs "$EPOCHS" --device "$DEVICE" --name lab-0
  bench phases 180 phases "$DEVICE" "$([[ $DEVICE == cpu ]] && echo fast || echo lab)"
fi
if wants tests; then
  step tests-gpu 240 "$PYTHON" -m pytest -q -p no:cacheprovider -p no:benchmark -n 4 -m gpu
  step tests-device 240 "$PYTHON" -m pytest -q -p no:cacheprovider -p no:benchmark -n 4 tests/training tests/tasks/test_inference.py
fi
if wants runs; then # resume, Ctrl-C, memory, devices
  mnistae train -q --epochs 2 --device "$DEVICE" --name whole
  mnistae train -q --epochs 2 --device "$DEVICE" --name again
  same same-seed-same-bytes whole again
  mnistae train -q --epochs 1 --device "$DEVICE" --name begun
  cli resume-equals-whole 60 train -q --resume --epochs 2 --name begun
  same resume-same-bytes whole begun
  WANT=130 step ctrl-c 60 timeout --preserve-status -s INT 12 "$PYTHON" -m mnistae train --epochs 9999 --device "$DEVICE" --name stopped
  cli resumed-on-the-cpu 60 train --resume --name begun --epochs 3 --device cpu
  WANT=5 cli no-such-device 30 train --device cuda:7 --name none
  cli largest 60 train --epochs 1 --device "$DEVICE" --batch-size 65536 --hidden 2048 --name large
  if [[ $DEVICE != cpu ]]; then bench memory-limit 60 memory_limit "$DEVICE"; fi
fi
if wants speed; then
  for peer in "mnistae fp32" "mnistae tf32" "mnistae bf16" "autograd fp32" "autograd bf16" course Lightning; do
    bench "epoch-${peer// /-}" 90 peers "$peer" "$([[ $peer == course || $DEVICE == cpu ]] && echo 3 || echo 21)" "$DEVICE"
  done
  for precision in fp32 bf16 $([[ $DEVICE == cpu ]] || echo tf32); do bench "floor-$precision" 60 floor "$precision" "$DEVICE"; done
  bench step 120 step "$DEVICE"
  cli evaluate 60 evaluate lab --device "$DEVICE"
  cli encode 60 encode --split train --device "$DEVICE" -f npy -o "$work/codes.npy"
fi
if wants quality; then
  for seed in $SEEDS; do bench "lab-$seed" 60 quality lab "$seed" fp32 "$DEVICE"; done
  for seed in $SEEDS; do bench "fast-$seed" 60 quality fast "$seed" fp32 "$DEVICE"; done
  if [[ $DEVICE != cpu ]]; then for precision in tf32 bf16; do bench "lab-0-$precision" 60 quality lab 0 "$precision" "$DEVICE"; done; fi
  for recipe in $RECIPES; do for seed in $REST; do bench "$recipe-$seed" 120 quality "$recipe" "$seed" fp32 "$DEVICE"; done; done
fi
! grep FAILED "$OUT/steps.txt"
