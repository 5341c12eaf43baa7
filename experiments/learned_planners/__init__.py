"""Learned planners on unseen generated towns, by photographs alone: which part of the recipe helps, and how much.

Rules, written down before any planner was evaluated on the test towns:

- **Training towns** `town:2000-2199`: the 160 of split train; their logged viewpoints have synthetic photographs
  (another renderer than the rasters'), all other viewpoints rasters alone. **Pilots**, which choose the number of
  steps, use towns of `town:2000-2199` of the splits val and test, and nothing else.
- **Test towns** `town:2300-2347` that nothing else uses (those without a scene group of three follow-ups drop out), the
  first three scene groups of each (initial scenes 3.5 s apart, four follow-up pairs at most), lane-following traffic.
  Planners get **photographs as their only images**.
- **Arms** (`arms.py`): each step adds one part to the arm before; a control has as many samples of logged photographs
  in a step as the recipe has samples of all kinds; another control has the recipe's samples, with black images. All
  arms have the same vocabulary (64 anchors of the targets of all training viewpoints, 8 speed profiles), number of
  steps, learning rate and frozen backbone (pretrained on the logged images of the training towns);
  the other families have the recipe's samples and about as many weights as RAP. One more control has the recipe's
  samples of the first 40 training towns alone: an earlier run, on towns of an older generator, had no more, and found
  that choices did not carry over to other towns.
- **Seeds** 0 to 4: of the initial weights and of the order of samples.
- **Measures**: score of both stages (EPDMS, as `swerve evaluate`) is the headline; stages apart; NC and DAC of
  follow-ups; closed loop of 8 s at one plan a second from the first scene groups, as many as time allows. On follow-ups
  in log replay, as in training: the chosen and the best proposal's score, calibration, and the chosen one's with
  rasters, and with another scene's photographs.
- **Intervals**: 95 %, percentiles of 4,000 resamples of seeds and of logs jointly; differences are paired in both.
  Constant velocity, stationary and PDM-Closed are in every table.
- **Visited** states are those of the first seed's "+ follow-up" planner, driven by photographs on the training towns:
  one round, one set for all seeds, because drawing takes longer than training here.
- **Pilots** (seed 0, towns of val and test): "photographs" and "+ follow-up" at 600, 1,200 and 2,400 steps, learning
  rate 0.001. The number of steps of all runs is the one at which the mean of the two is best in two stages. They were
  made once; repeated runs keep their choice, 600.
- **Runs** are made in passes, each seed by seed: the arms up to "follow-up, blind"; then "+ visited", when its states
  are drawn, and the other families. A run that is finished is never repeated or left out. If time runs out, complete
  seeds count, and the tables say how many there are. Closed loop needs a rendered photograph for every plan, and is
  made in the same order.

The commands, each resumed by itself:

    swerve augment town:2000-2199 IN/logged --viewpoints logged --photos --extra-outputs semantic --scene-interval 2 \
        --size 80x48 --fit stretch --cameras front
    swerve augment town:2000-2199 IN/off-path --viewpoints recovery cross_agent follow_up --scene-interval 2 \
        --recovery.samples-per-scene 2 --follow-up.samples-per-scene 3 --size 80x48 --fit stretch --cameras front
    swerve contexts town:2000-2199 IN/logged IN/logged-contexts
    swerve contexts town:2000-2199 IN/off-path IN/off-path-contexts
    swerve build town:2300-2347 IN/bench --views photo raster --scene-interval 3.5 --min-follow-ups 3 \
        --max-follow-ups 4 --size 80x48 --fit stretch --cameras front
    swerve build town:2008-2009 town:2018-2019 ... town:2058-2059 IN/pilot ... (the same options)
    python -m experiments.tiny_backbone IN/logged IN/backbone.safetensors
    python -m experiments.learned_planners run IN PILOTS --bench pilot --seeds 0 --arms photographs "+ follow-up" \
        --steps 600
    python -m experiments.learned_planners run IN RUNS --seeds 0 1 2 3 4
    python -m experiments.learned_planners drive IN RUNS --seeds 0 1 2 3 4
    python -m experiments.learned_planners samples IN RUNS --seeds 0 1 2 3 4
    python -m experiments.learned_planners tables RUNS docs/learned_planners.md
"""
