def navsim_agents(context, states): raise NotImplementedError
