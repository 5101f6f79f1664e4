"""The command silences the logging of its whole process; a test is only a part of one."""

import logging

import pytest


@pytest.fixture(autouse=True)
def logging_as_before():
    yield
    logging.disable(logging.NOTSET)
