#!/bin/sh
# Training on one GPU in under ten minutes: step times, memory and samples per second of ViT-S and ViT-H+, RAP, a scored
# vocabulary and ChainFlow; bf16 beside fp32; then the tests that need a GPU. Run in the repository's root, after
# `pip install '.[torch,timm,dev]'`: sh experiments/gpu_training.sh [PYTHON]
set -e
python="${1:-python}"
small=vit_small_patch16_dinov3
huge=vit_huge_plus_patch16_dinov3
nvidia-smi --query-gpu=name,memory.total --format=csv,noheader
echo "ViT-S"
timeout 150 "$python" -m experiments.gpu_training --backbones "$small" --batches 16 64 || echo "stopped"
echo "ViT-S, fp32"
timeout 60 "$python" -m experiments.gpu_training --backbones "$small" --batches 16 --arms rap --precision fp32 || echo "stopped"
echo "ViT-H+"
timeout 180 "$python" -m experiments.gpu_training --backbones "$huge" --batches 16 64 --arms rap "rap, recomputed" "vocabulary 256" || echo "stopped"
echo "ViT-S, compiled"
timeout 120 "$python" -m experiments.gpu_training --backbones "$small" --batches 64 --arms rap --compile || echo "stopped"
timeout 60 "$python" -m pytest -q tests/planners/learning/test_gpu_trainer.py -m "not slow" || echo "failed"
