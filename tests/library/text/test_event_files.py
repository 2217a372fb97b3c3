"""Tables of events: what is read, and what is refused."""

import gzip

import numpy as np
import pytest

from fastsoftmax.text.event_files import read_events


def read(tmp_path, text, **columns):
    path = tmp_path / "events"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_events(path, **columns)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tab", [",", "\t"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_table(tmp_path, tab, end, pack):
    lines = ["time,item,note,user", '3,"a, b",,u', "", '1,"say ""x""",n,ü', "2,c,,u"]
    if tab == "\t":
        lines = [line.replace("a, b", "a; b").replace(",", "\t").replace("a; b", "a, b") for line in lines]
    users, items, times = read(tmp_path, pack((end.join(lines) + end).encode()))
    assert (users, items) == (["u", "ü", "u"], ["a, b", 'say "x"', "c"])
    assert times.tolist() == [3, 1, 2] and times.dtype == np.int64 and users[0] is users[2]


def test_columns_by_name(tmp_path):
    text = "session,sku,at\n1,2,3\n"
    assert read(tmp_path, text, user="session", item="sku") == (["1"], ["2"], None)
    assert read(tmp_path, text, user="session", item="sku", time="at").times.tolist() == [3]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["9007199254740993", "2"], np.array([9007199254740993, 2])),
        (["0.5", "2"], np.array([0.5, 2])),
        (["2024-05-31", "2024-05-31T12:00:00.5"], np.array(["2024-05-31", "2024-05-31T12:00:00.5"], "M8[us]")),
        (["2024-05-31 12:00Z", "2024-05-31T12:00+02:00"], np.array(["2024-05-31T12", "2024-05-31T10"], "M8[us]")),
    ],
)
def test_times(tmp_path, texts, expected):
    times = read(tmp_path, "user,item,time\n" + "".join(f"u,i,{text}\n" for text in texts)).times
    assert times.dtype == expected.dtype and times.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file; its first line has to name the columns"),
        ("user,item\n", "no events below the names"),
        ("a,b\n1,2\n", "events has no column 'user'; its columns are 'a', 'b'"),
        ("user,user,item\n1,1,2\n", "more than one column 'user'"),
        ("user,item\n1,2\n1\n", "line 3: 1 columns, and the first line names 2"),
        ("user,item\n1,\n", "line 2: nothing in column 2"),
        ('user,item\n1,"2\n', "line 2: unexpected end of data"),
        (b"user,item\n1,\xff\n", "line 2: not UTF-8"),
        ("user,item,time\n1,2,3\n1,2,soon\n", "times must be numbers or dates.* got 'soon'"),
        ("user,item,time\n1,2,nan\n", "times must be numbers or dates.* got 'nan'"),
        ("user,item,time\n1,2,3.5\n1,2,2024-01-01\n", "all of one kind, got '3.5' and others"),
    ],
)
def test_errors(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_a_time_column_asked_for_has_to_be_there(tmp_path):
    with pytest.raises(ValueError, match="no column 'at'"):
        read(tmp_path, "user,item,time\n1,2,3\n", time="at")
