# A planner as a driver of AlpaSim, see docs/alpasim.md; DEVICE is cpu or cuda:
#   docker build --build-arg DEVICE=cpu --build-arg PLANNER=runs/rap/planner.safetensors --tag my-driver .
ARG PYTHON=3.11
ARG DEVICE=cpu

FROM python:${PYTHON}-slim AS base
# The root is read-only at run time: kernels are compiled into /tmp, while the first session begins.
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /opt/swerve
COPY . .
RUN useradd --system --no-create-home driver

FROM base AS cpu
RUN pip install --constraint constraints.txt torch --index-url https://download.pytorch.org/whl/cpu

# torch's own wheels bring CUDA along; the host has the driver (docker run --gpus all).
FROM base AS cuda
RUN pip install --constraint constraints.txt torch

FROM ${DEVICE} AS driver
RUN pip install --constraint constraints.txt '.[alpasim,torch,timm]'
ARG PLANNER
COPY ${PLANNER} /opt/planner.safetensors
# Loads the planner once, which fails the build rather than the first rollout.
RUN python -c "from swerve.planners.load_planner import load_planner; load_planner('/opt/planner.safetensors')"
WORKDIR /tmp
USER driver
EXPOSE 6789
CMD exec swerve serve driver --planner /opt/planner.safetensors --on-failure last-plan \
    --host "${ALPASIM_DRIVER_HOST:-0.0.0.0}" --port "${ALPASIM_DRIVER_PORT:-6789}"
