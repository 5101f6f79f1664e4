"""What the process ends with when the machine, and not the configuration, is the cause."""

from __future__ import annotations

import errno
import os

import pytest

from ferd.cli import main as target
from ferd.errors import EXHAUSTED, EXIT_CONFIG, EXIT_FAILED, ConfigError, ModelError, exhausted


def fail_with(number: int) -> None:
    try:
        write(number)
    except OSError as error:
        raise ModelError(f"/var/lib/ferd/models: cannot be written ({error.strerror})") from None


def write(number: int) -> None:
    raise OSError(number, os.strerror(number), "/var/lib/ferd/x")


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, EXIT_FAILED), (errno.EACCES, EXIT_CONFIG)])
def test_a_full_disk_is_no_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int
):
    """With 78 the unit does not start ferd again once there is space."""

    class Parser:
        config = None
        concerns = None

        def parse_args(self, _argv: object) -> Parser:
            return self

        def run(self, _args: object) -> int:
            fail_with(number)
            return 0

    monkeypatch.setattr(target, "parser", Parser)
    assert target.main([]) == code
    assert (EXHAUSTED[errno.ENOSPC] in capsys.readouterr().err) == (code == EXIT_FAILED)


def test_the_cause_is_found_behind_other_errors():
    def fail() -> None:
        try:
            fail_with(errno.EMFILE)
        except ModelError as error:
            raise ConfigError("the model cannot be read") from error

    with pytest.raises(ConfigError) as raised:
        fail()
    assert exhausted(raised.value) == EXHAUSTED[errno.EMFILE]
    assert exhausted(ConfigError("x")) is None
