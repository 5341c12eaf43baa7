"""Classes that NAVSIM agents import, for machines without the packages navsim and nuplan: same names and behaviour."""
