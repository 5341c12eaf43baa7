"""Description of a method in a WOD-E2E submission."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WodSubmissionInfo:
    """Description of a method, as the challenge asks for it.

    Attributes:
        account_name: Address with which you are registered at waymo.com/open.
        method_name: Short, unique name; the leaderboard shows the latest result of a name.
        authors: Names.
        affiliation: Institution.
        num_model_parameters: Number of parameters of the model, a number and K, M, B or T, such as 200K.
        uses_public_model_pretraining: True if the model was trained from a public language or vision-language model.
        public_model_names: Names of such models.
        description: Short description of the method.
        method_link: Link to the paper or a page.
    """

    account_name: str
    method_name: str
    authors: tuple[str, ...]
    affiliation: str
    num_model_parameters: str
    uses_public_model_pretraining: bool
    public_model_names: tuple[str, ...] = ()
    description: str = ""
    method_link: str = ""
