"""Source: OpenScene / NAVSIM logs at 2 Hz, NAVSIM's splits, and its synthetic second-stage scenes."""
