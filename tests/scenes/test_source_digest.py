from swerve.scenes.source_digest import code_digest, contents_digest, source_files


def test_the_digest_is_that_of_every_line(tmp_path):
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("x = 1\n")
    two.write_text("")
    before = contents_digest([one, two])
    assert contents_digest([one, two]) == before
    one.write_text("x = 2\n")
    assert contents_digest([one, two]) != before


def test_all_packages_count():
    assert len(code_digest()) == 8
    assert {"camera.py", "render.py", "planner.py"} & {path.name for path in source_files()}
