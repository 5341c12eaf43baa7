from pathlib import Path

import pytest

from swerve.scenes import SwerveError
from tests.support.command import invoke


@pytest.mark.slow
def test_a_log_is_recorded(tmp_path):
    reader_of = pytest.importorskip("mcap.reader", reason="mcap is an extra").make_reader
    out = tmp_path / "out" / "log.mcap"
    result = invoke("record", "town:1", out, "--seconds", 5, 5.2)
    assert result.exit_code == 0, result.exception
    with open(out, "rb") as stream:
        summary = reader_of(stream).get_summary()
    topics = {channel.topic: channel.id for channel in summary.channels.values()}
    assert summary.statistics.channel_message_counts[topics["/agents"]] == 3
    assert summary.statistics.channel_message_counts[topics["/camera/front/image"]] == 3
    assert {"/map", "/curves/speed__m_s"} <= set(topics)
    assert sorted(path.name for path in out.parent.iterdir()) == ["log.mcap", "log.mcap.config.yaml"]


def test_mistakes_are_told(tmp_path):
    for arguments, said in (
        (("town:1", tmp_path / "x.txt"), "recordings are written as .rrd or .mcap"),
        (("town:1", tmp_path / "x.mcap", "--seconds", 5, 4), "must rise"),
    ):
        error = invoke("record", *arguments).exception
        assert isinstance(error, SwerveError)
        assert said in str(error)
    assert list(Path(tmp_path).iterdir()) == []
