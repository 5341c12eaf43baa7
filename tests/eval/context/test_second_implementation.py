"""PDM-Closed and reactive traffic against their second implementations; experiments/ compares thousands of scenes."""

from tests.support.second_implementation import compare


def test_drawn_scenes_come_out_as_in_the_second_implementations():
    for seed in (4, 7, 12, 20, 24, 99, 159, 196, 10188, 11181, 11627, 20528, 32438, *range(200, 215)):
        wrong = {name: number for name, number in compare(seed).items() if number and name.endswith("wrong")}
        assert not wrong, seed
