import json

import numpy as np
import pytest

from workbench.figures.chartdata import Axis, ChartData, Encoded, Line, LineData, decode, join


def line(values, **more):
    return Line(key="r:loss", run="r", label="loss", signal="loss", color={"run": 0}, mean=np.array(values), **more)


def chart(values, **more) -> LineData:
    x = Axis(np.arange(len(values), dtype=float), 20_000_000.0)
    return LineData(id="loss", kind="line", title="Loss", x=x, series=(line(values),), **more)


def floats(encoded: Encoded, slot):
    return np.frombuffer(encoded.data, "<f4")[slot[0] : slot[0] + slot[1]]


def test_a_head_is_json_without_nan_and_points_into_the_buffer():
    encoded = chart([1.0, 2.0], ydomain=(0.0, float("nan"))).encode()
    head = json.loads(json.dumps(encoded.head, allow_nan=False))
    assert head["ydomain"] == [0.0, None]
    assert floats(encoded, head["series"][0]["mean"]).tolist() == [1.0, 2.0]


def test_nan_means_no_value_and_infinity_a_gap_and_both_arrive():
    encoded = chart([1.0, np.nan, np.inf]).encode()
    sent = floats(encoded, encoded.head["series"][0]["mean"])
    assert np.isnan(sent[1])
    assert np.isposinf(sent[2])


def test_a_finite_value_beyond_float32_is_not_taken_for_a_gap():
    encoded = chart([1e300, -1e300]).encode()
    assert np.isfinite(floats(encoded, encoded.head["series"][0]["mean"])).all()


def test_steps_above_sixteen_million_stay_exact_through_the_offset():
    encoded = chart([1.0, 2.0, 3.0]).encode()
    again = decode(encoded.head, encoded.data)
    assert isinstance(again, LineData)
    assert again.x.steps.tolist() == [20_000_000, 20_000_001, 20_000_002]


def test_equal_content_has_an_equal_version_wherever_it_lies_in_the_frame():
    first, second = chart([1.0]).encode(), chart([1.0]).encode()
    heads, buffer = join([chart([9.0, 9.0]).encode(), first, second])
    assert heads[1]["version"] == heads[2]["version"]
    numbers = np.frombuffer(buffer, "<f4")
    for head in heads[1:]:
        offset, length = head["series"][0]["mean"]
        assert numbers[offset : offset + length].tolist() == [1.0]


@pytest.mark.parametrize("other", [chart([2.0]), chart([1.0], unit="%")])
def test_a_change_of_data_or_words_changes_the_version(other):
    assert chart([1.0]).encode().head["version"] != other.encode().head["version"]


def test_decoding_gives_back_what_was_encoded():
    original = chart([1.0, 2.0, np.nan], references=(), subtitle="words")
    encoded = original.encode()
    again = decode(encoded.head, encoded.data)
    assert isinstance(again, ChartData)
    assert again.encode().head == encoded.head
    assert again.encode().data == encoded.data
