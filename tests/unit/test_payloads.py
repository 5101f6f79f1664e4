from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.payloads import Event, State, iso


def test_a_state_reads_as_it_is_documented():
    state = State("happiness", 0.8333, 1, since=1795347453.12, seq=412)
    assert state.to_json() == (
        b'{"v":1,"expression":"happiness","confidence":0.83,"faces":1,"since":"2026-11-22T11:37:33.120Z","seq":412}'
    )


def test_no_face_is_null():
    assert json.loads(State(None, None, 0, 0.0, 1).to_json())["expression"] is None


def test_an_event_reads_as_it_is_documented():
    event = Event("expression_changed", "abc", 7, "neutral", "happiness", 0.83, 12.41, at=0.0)
    assert event.to_json() == (
        b'{"v":1,"event_type":"expression_changed","id":"abc","track":7,"from":"neutral","to":"happiness",'
        b'"confidence":0.83,"held_s":12.4,"at":"1970-01-01T00:00:00.000Z"}'
    )


def test_numbers_of_numpy_are_told_too():
    assert b'"confidence":0.83,' in State("joie", np.float32(0.83), 1, 0.0, 1).to_json()  # type: ignore[arg-type]


@pytest.mark.parametrize(("wall", "text"), [(1.2339, "00:00:01.234Z"), (0.9999, "00:00:01.000Z"), (1.233, "01.233Z")])
def test_times_have_milliseconds(wall: float, text: str):
    assert iso(wall).endswith(text)


@given(st.floats(0, 4e9))
def test_a_time_can_be_read_back(wall: float):
    assert abs(datetime.fromisoformat(iso(wall)).timestamp() - wall) <= 0.001


@given(
    st.none() | st.text(max_size=20),
    st.none() | st.floats(0, 1),
    st.integers(0, 9),
    st.floats(0, 4e9),
    st.integers(0, 10**9),
)
def test_whatever_is_in_a_state_its_bytes_are_json_of_all_keys(expression, confidence, faces, since, seq):
    state = State(expression, confidence, faces, since, seq)
    assert json.loads(state.to_json()) == state.to_dict()
    assert list(state.to_dict()) == ["v", "expression", "confidence", "faces", "since", "seq"]
