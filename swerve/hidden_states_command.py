"""Run `swerve hidden-states`."""

from swerve.consoles import progress_console, results_console
from swerve.data.storage.mirror import shown
from swerve.data.stream import ImageFit
from swerve.job_report import stoppable
from swerve.options.hidden_states import HiddenStates


def run(args: HiddenStates) -> int:
    """Compute the hidden states of a training set, print what was made, and return the exit code."""
    from swerve.planners.learning import hidden_state_store, hidden_states

    console, progress = results_console(), progress_console()
    assert args.size is not None
    with stoppable():
        encoder = hidden_states.HiddenStates(args.vlm, args.layer, args.tokens, args.prompt or hidden_states.PROMPT)
        domains = hidden_state_store.DOMAINS if args.images == "both" else (args.images,)

        def report(done: int, of: int) -> None:
            progress.print(f"{done} of {of} shards", highlight=False)

        fit = ImageFit(args.size, args.trim)
        views = hidden_state_store.write_hidden_states(
            args.dataset, args.out, encoder, args.cameras, fit, domains, report
        )
    tokens = f"{encoder.spec.tokens} tokens of {encoder.spec.width}"
    made = f"{views} views computed, {tokens} each" if views else "Everything was finished before"
    console.print(f"{made}: {shown(args.out)}", highlight=False, soft_wrap=True, markup=False)
    return 0
