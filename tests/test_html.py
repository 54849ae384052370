import pytest
from page import SVG, Page, drawing

from fastconv import html
from fastconv.callbacks import History
from fastconv.layers import Add, Conv2D, Dense, Flatten, Input
from fastconv.models import Model, Sequential, networks

# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_escapes_what_it_shows():
    page = Page(html.table(["<b>", "n"], [["a & b </td>", 1]], '"<i>"'))
    assert page.rows == [["<b>", "n"], ["a & b </td>", "1"]]
    assert page.words == ['"<i>"']


def test_a_table_puts_numbers_to_the_right():
    row = html.table(["a", "b"], [["x", 1]]).split("<tbody>")[1]
    assert row.index("text-align:left") < row.index(">x<") < row.index("text-align:right") < row.index(">1<")


# --- curves ----------------------------------------------------------------------------------------------------------


def points(source):
    lines = drawing(source).findall(f"{SVG}polyline")
    return [[tuple(map(float, at.split(","))) for at in line.get("points").split()] for line in lines]


def test_curves_share_their_axes():
    (first, second) = points(html.curves("loss", {"a": [3.0, 2.0, 1.0], "b": [1.0, 2.0, 5.0]}))
    assert [x for x, _ in first] == [x for x, _ in second]
    assert second[2][1] < first[0][1] < first[1][1] == second[1][1] < first[2][1] == second[0][1]  # y grows downwards


def test_curves_stay_in_their_drawing():
    picture = drawing(source := html.curves("loss", {"a": [1e9, -1e9, 3.0]}))
    width, height = float(picture.get("width")), float(picture.get("height"))
    assert all(0 < x < width and 0 < y < height for line in points(source) for x, y in line)


def test_a_curve_is_interrupted_where_a_value_is_not_finite():
    nan = float("nan")
    source = html.curves("loss", {"a": [1.0, 2.0, nan, 1.0, float("inf"), 2.0, 3.0]})
    assert [len(line) for line in points(source)] == [2, 2]
    assert len(drawing(source).findall(f"{SVG}circle")) == 1
    assert "nan" not in source and "inf" not in source


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [float("nan")]])
def test_curves_of_little(values):
    drawing(html.curves("loss", {"a": values}))


def test_a_curve_of_many_values_has_as_many_points_as_can_be_seen():
    (line,) = points(html.curves("loss", {"a": list(map(float, range(100_001)))}))
    assert len(line) < 500
    assert line[-1] == points(html.curves("loss", {"a": [0.0, 1.0]}))[0][-1]  # the last value is there


# --- what notebooks show ---------------------------------------------------------------------------------------------


def test_a_model_shows_its_layers():
    page = Page(networks.conv()._repr_html_())
    assert page.rows[0] == ["Layer (type)", "Output Shape", "Param #"]
    assert [row[1:] for row in page.rows[1:3]] == [["(None, 32, 32, 3)", "0"], ["(None, 16, 16, 10)", "490"]]
    assert any("Total params: 15,120 " in words for words in page.words)


def test_a_model_with_branches_shows_what_is_connected():
    x = Input((4, 4, 2), name="image")
    y = Conv2D(2, 1, name="a")(x)
    page = Page(Model(x, Add(name="sum")([x, y]))._repr_html_())
    assert page.rows[0][3] == "Connected to"
    assert page.rows[-1] == ["sum (Add)", "(None, 4, 4, 2)", "0", "image[0][0], a[0][0]"]


def test_a_model_escapes_names():
    x = Input((2,), name="[b]<x>&")
    page = Page(Model(x, Dense(1)(x), name="</table>")._repr_html_())
    assert page.rows[1][0] == "[b]<x>& (InputLayer)"
    assert page.words[0] == 'Model: "</table>"'


def test_a_model_that_is_not_built_shows_so():
    assert Page(Sequential([Flatten(), Dense(3)])._repr_html_()).rows[1][1:] == ["?", "0 (unbuilt)"]


def history_of(epochs=2, **curves):
    history = History()
    history.history, history.epoch = curves, list(range(epochs))
    return history


def test_a_history_shows_its_epochs_and_curves():
    source = history_of(loss=[1.5, 1.25], val_loss=[2.0, 1.75], accuracy=[0.5, 0.75])._repr_html_()
    page = Page(source)
    assert page.rows[0] == ["epoch", "loss", "val_loss", "accuracy"]
    assert page.rows[1:] == [["1", "1.5", "2", "0.5"], ["2", "1.25", "1.75", "0.75"]]
    assert source.count("<svg") == 2 and len(points(source)) == 2  # the first drawing: training and validation


def test_a_history_without_epochs():
    assert Page(history_of(0)._repr_html_()).words == ["0 epochs"]


def test_a_long_history_shows_its_ends():
    rows = Page(history_of(1000, loss=[float(i) for i in range(1000)])._repr_html_()).rows
    assert len(rows) == 32
    assert [rows[i][0] for i in (1, 15, 16, 17, -1)] == ["1", "15", "…", "986", "1000"]


def test_a_history_names_what_has_not_a_value_for_each_epoch():
    page = Page(history_of(3, loss=[3.0, 2.0, 1.0], val_loss=[2.5])._repr_html_())
    assert page.rows[0] == ["epoch", "loss"]
    assert "val_loss (1 value): 2.5 at last" in page.words


def test_a_history_shows_logs_that_are_no_numbers():
    source = history_of(1, phase=["<warm up>"])._repr_html_()
    assert Page(source).rows[1] == ["1", "<warm up>"]
    assert "<svg" not in source
