"""DGP scenes: Toyota Research Institute's data set form, in which DDAD is published."""
