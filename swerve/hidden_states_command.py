"""Run `swerve hidden-states`."""

from swerve.consoles import progress_console, results_console
from swerve.data.storage.mirror import shown
from swerve.data.stream import ImageFit
from swerve.job_report import execution_of, show_failures, stoppable, timing_line
from swerve.options.hidden_states import HiddenStates


def run(args: HiddenStates) -> int:
    """Compute the hidden states of a training set, print what was made, and return the exit code."""
    from swerve.planners.learning.hidden_state_job import NOUN, VlmOptions, write_hidden_states
    from swerve.planners.learning.hidden_state_store import DOMAINS
    from swerve.planners.learning.hidden_states import PROMPT

    console = results_console()
    assert args.size is not None
    vlm = VlmOptions(args.vlm.resolve(), args.layer, args.tokens, args.prompt or PROMPT)
    domains, fit = DOMAINS if args.images == "both" else (args.images,), ImageFit(args.size, args.trim)
    with stoppable():
        states, result = write_hidden_states(
            args.dataset, args.out, vlm, args.cameras, fit, domains, execution_of(args), progress_console()
        )
    made = f"{states.spec.tokens} tokens of {states.spec.width} for each view: {shown(args.out)}"
    console.print(made, highlight=False, soft_wrap=True, markup=False, emoji=False)
    show_failures(console, result.failures)
    console.print(timing_line(result.timing, NOUN, len(result.failures)), highlight=False, soft_wrap=True)
    return 1 if result.failures else 0
