import numpy as np
import pytest

from fastconv import layers, utils
from fastconv.models import Model, Sequential

# The tables below were printed by Keras 3.15.1 for the same models.


@pytest.fixture(autouse=True)
def fresh_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    utils.clear_session()


def text_of(model, **options):
    texts = []
    model.summary(print_fn=texts.append, **options)
    assert len(texts) == 1
    return texts[0]


def chain():
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(2, 3)(image)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(x)
    return Model(image, layers.Dense(3, activation="softmax")(x))


def branching():
    image = layers.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same")(image)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(layers.Add()([x, image]))
    return Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


CHAIN = """\
Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ input_layer (InputLayer)        │ (None, 8, 8, 3)        │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d (Conv2D)                 │ (None, 6, 6, 2)        │            56 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ batch_normalization             │ (None, 6, 6, 2)        │             8 │
│ (BatchNormalization)            │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 72)             │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 3)              │           219 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 283 (1.11 KB)
 Trainable params: 279 (1.09 KB)
 Non-trainable params: 4 (16.00 B)
"""

UNBUILT = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ ?                      │   0 (unbuilt) │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ ?                      │   0 (unbuilt) │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
"""

BRANCHING = """\
Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ input_layer         │ (None, 8, 8, 4)   │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ conv2d (Conv2D)     │ (None, 8, 8, 4)   │        148 │ input_layer[0][0] │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ batch_normalization │ (None, 8, 8, 4)   │         16 │ conv2d[0][0]      │
│ (BatchNormalizatio… │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ add (Add)           │ (None, 8, 8, 4)   │          0 │ batch_normalizat… │
│                     │                   │            │ input_layer[0][0] │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ leaky_re_lu         │ (None, 8, 8, 4)   │          0 │ add[0][0]         │
│ (LeakyReLU)         │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ flatten (Flatten)   │ (None, 256)       │          0 │ leaky_re_lu[0][0] │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense (Dense)       │ (None, 3)         │        771 │ flatten[0][0]     │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 935 (3.65 KB)
 Trainable params: 927 (3.62 KB)
 Non-trainable params: 8 (32.00 B)
"""

NESTED = """\
Model: "both"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ a (InputLayer)      │ (None, 4)         │          0 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ two (Functional)    │ [(None, 3),       │         30 │ a[0][0], b[0][0]  │
│                     │ (None, 3)]        │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│    └ i (InputLayer) │ (None, 4)         │          0 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│    └ p (Dense)      │ (None, 3)         │         15 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│    └ q (Dense)      │ (None, 3)         │         15 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ b (InputLayer)      │ (None, 4)         │          0 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ body (Sequential)   │ (None, 3)         │         12 │ two[0][1]         │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│    └ d (Dense)      │ (None, 3)         │         12 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ sum (Add)           │ (None, 3)         │          0 │ two[0][0],        │
│                     │                   │            │ two[1][1],        │
│                     │                   │            │ body[0][0]        │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 42 (168.00 B)
 Trainable params: 42 (168.00 B)
 Non-trainable params: 0 (0.00 B)
"""


def nested():
    inner = layers.Input((4,), name="i")
    two = Model(inner, [layers.Dense(3, name="p")(inner), layers.Dense(3, name="q")(inner)], name="two")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    (p, q), (r, s) = two(a), two(b)
    body = Sequential([layers.Dense(3, name="d")], name="body")
    return Model([a, b], [layers.Add(name="sum")([p, s, body(q)]), r], name="both")


def test_a_chain_is_laid_out_as_in_keras():
    assert text_of(chain()) == CHAIN


def test_an_unbuilt_model_is_laid_out_as_in_keras():
    assert text_of(Sequential([layers.Flatten(), layers.Dense(3)])) == UNBUILT


def test_branches_are_laid_out_as_in_keras():
    assert text_of(branching()) == BRANCHING


def test_nested_models_are_laid_out_as_in_keras():
    assert text_of(nested(), expand_nested=True) == NESTED


def test_nested_models_are_one_row_each_unless_expanded():
    assert "└ " not in text_of(nested()) and "Total params: 42 " in text_of(nested())


def test_it_is_printed_where_no_print_fn_is_given(capsys):
    chain().summary()
    assert capsys.readouterr().out == CHAIN


def test_a_shared_layer_has_a_call_number():
    layer, image = layers.Dense(4), layers.Input((4,))
    assert "dense[0][0], dense[1][0]" in text_of(
        Model(image, layers.Add()([layer(image), layer(image)])), line_length=120
    )


def test_the_default_is_at_most_88_wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert len(text_of(chain()).splitlines()[1]) == 88


def test_line_length_may_exceed_the_terminal():
    assert len(text_of(chain(), line_length=120).splitlines()[1]) == 120


def test_positions_are_the_right_edges_of_the_columns():
    assert text_of(chain(), line_length=60, positions=(0.5, 0.8, 1.0)).splitlines()[1].index("┳") == 30


def test_positions_must_be_as_many_as_columns():
    with pytest.raises(ValueError, match=r"3 values.*Received: positions=\(0.5, 1.0\)"):
        text_of(chain(), positions=(0.5, 1.0))


def test_a_table_too_narrow_is_refused():
    with pytest.raises(ValueError, match="at least 4 characters. Received: line_length=12"):
        text_of(chain(), line_length=12)


def test_show_trainable_adds_a_column():
    rows = text_of(chain(), show_trainable=True).splitlines()
    assert [row.split("│")[4].strip() for row in rows if "(None" in row] == ["-", "Y", "Y", "-", "Y"]


def test_show_arithmetic_adds_a_column_that_says_how_numbers_come_about():
    text = text_of(chain(), show_arithmetic=True, line_length=132)
    assert "56 = (3 x 3 x 3 + 1) x 2" in text and "6 = 8 - 3 + 1" in text and "72 = 6 x 6 x 2" in text
    assert {len(row) for row in text.splitlines() if row.startswith("│")} == {132}


def test_all_columns_fit_together():
    text = text_of(nested(), show_arithmetic=True, show_trainable=True, expand_nested=True, line_length=200)
    (row,) = (row for row in text.splitlines() if "body (Sequential)" in row)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["(None, 3)", "12", "two[0][1]", "Y", "12 = 12"]
    assert "15 = (4 + 1) x 3" in text


def names(text):
    return [row.split()[1] for row in text.splitlines() if row.startswith("│") and "(None" in row]


@pytest.mark.parametrize("layer_range", [("conv2d", "flatten"), ("conv.*", "fl"), ("flatten", "conv2d")])
def test_layer_range_shows_the_layers_between(layer_range):
    assert names(text_of(chain(), layer_range=layer_range)) == ["conv2d", "batch_normalization", "flatten"]


def test_layer_range_keeps_the_totals():
    assert "Total params: 283 " in text_of(chain(), layer_range=("conv2d", "conv2d"))


@pytest.mark.parametrize("layer_range", [("conv2d",), (0, 1)])
def test_layer_range_must_be_two_names(layer_range):
    with pytest.raises(ValueError, match="two strings. Received: layer_range="):
        text_of(chain(), layer_range=layer_range)


def test_a_layer_range_without_a_match_is_refused():
    with pytest.raises(ValueError, match=r"names of the model's layers: input_layer, conv2d.*Received: .*'conv3d'"):
        text_of(chain(), layer_range=("conv3d", "dense"))


def test_markup_in_a_name_is_shown_as_it_is():
    image = layers.Input((4,))
    model = Model(image, layers.Dense(3, name="[red]")(image), name="[bold]x")
    assert 'Model: "[bold]x"' in text_of(model) and "[red] (Dense)" in text_of(model)


# Adam has two slots a parameter, and a learning rate and a step count of 8 bytes.
def test_the_optimizer_is_counted_once_it_was_used():
    model = chain()
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(np.zeros((2, 8, 8, 3)), np.eye(3)[:2])
    assert text_of(model).splitlines()[-4:] == [
        " Total params: 843 (3.30 KB)",
        " Trainable params: 279 (1.09 KB)",
        " Non-trainable params: 4 (16.00 B)",
        " Optimizer params: 560 (2.19 KB)",
    ]


def test_the_optimizer_is_not_counted_before():
    model = chain()
    model.compile("adam", "categorical_crossentropy")
    assert text_of(model) == CHAIN
