"""Optimization of Gaussian scenes on posed images (Kerbl et al. 2023). It needs torch, and is imported on demand."""
