"""NAVSIM agents: they import only navsim, nuplan, numpy and torch, as users' agents do."""
