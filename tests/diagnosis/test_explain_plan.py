"""model.explain_plan: what it says is what the plan does, and the picture shows the arena as it is."""

import itertools
import json
import re
import xml.etree.ElementTree as ET

import pytest
from page import SVG, Page, drawing

from fastconv import layers, models, rng, utils
from fastconv.models import networks
from fastconv.plan import fuse


@pytest.fixture
def cnn():
    utils.clear_session()
    return compiled(networks.cnn())


def compiled(model):
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_it_says_what_the_plan_does(cnn):
    found, plan = cnn.explain_plan(8), cnn._ready().plan("train", 8)
    assert [(s.step, s.op) for s in found.steps] == [(i, step.op) for i, step in enumerate(plan.steps)]
    assert (found.arena_bytes, found.unshared_bytes) == (plan.layout.size_bytes, plan.layout.unshared_bytes)
    assert found.steps[0].reads["x"] == ("x", (8, 32, 32, 3))
    assert found.steps[0].writes["y"] == ("conv2d.y", (8, 32, 32, 32))
    assert [s.algorithm for s in found.steps[:4]] == ["direct", "direct", "winograd", "direct"]


def test_what_does_not_train_is_forward():
    x = layers.Input((4,))
    model = compiled(models.Model(x, layers.Dense(2, activation="softmax", kernel_regularizer="l2")(x)))
    evaluation = model.explain_plan(mode="evaluate")
    assert [(s.op, s.phase) for s in evaluation.steps][-1] == ("penalty", "forward")
    assert [(s.op, s.phase) for s in model.explain_plan().steps][-2:] == [
        ("penalty", "update"),
        ("adam_update", "update"),
    ]


def test_it_changes_nothing(cnn):
    weights, numbers = [w.tobytes() for w in cnn.get_weights()], json.dumps(rng.get_state(), default=str)
    cnn.explain_plan()
    assert [w.tobytes() for w in cnn.get_weights()] == weights
    assert json.dumps(rng.get_state(), default=str) == numbers
    assert cnn._executor is None and cnn.optimizer.iterations == 0


# --- fusions ---------------------------------------------------------------------------------------------------------


def test_fusions_are_listed_with_their_gains(cnn):
    found = cnn.explain_plan()
    assert [fusion.name for fusion in found.fusions] == list(fuse.ALL)
    assert all(fusion.gain.endswith(".") and "  " not in fusion.gain and fusion.steps > 0 for fusion in found.fusions)
    conv_statistics = found.fusions[1]
    assert conv_statistics.gain.startswith("The statistics of a batch normalization are taken by the convolution")
    assert conv_statistics.steps == 4  # one for each of its convolutions' batch normalizations


def test_fusions_without_work_are_not_listed():
    assert [fusion.name for fusion in compiled(networks.mlp()).explain_plan().fusions] == []


def test_steps_name_the_layers_whose_work_they_do(cnn):
    forward = cnn.explain_plan().steps[1]
    assert forward.fused == {
        "conv_statistics": ["batch_normalization_1"],
        "bn_on_load": ["batch_normalization"],
        "bn_act": ["leaky_re_lu"],  # which the batch normalization had taken over before
    }


def test_a_step_that_was_taken_over_brings_what_it_had_taken(cnn):
    backward = next(s for s in cnn.explain_plan().steps if "first_wgrad_in_dgrad" in s.fused)
    assert (backward.layer, backward.op) == ("conv2d_1", "conv2d_backward")
    assert backward.fused["first_wgrad_in_dgrad"] == ["conv2d"]
    assert backward.fused["bn_gradient_on_load"] == ["batch_normalization_1", "batch_normalization"]
    assert backward.fused["bn_sums_in_dgrad"] == ["batch_normalization"]


def test_a_step_of_which_a_part_was_taken_keeps_the_rest(cnn):
    convolution = cnn.explain_plan().steps[0]
    assert convolution.fused == {"conv_statistics": ["batch_normalization"]}


# --- the arena -------------------------------------------------------------------------------------------------------


def together(a, b):
    return a.first <= b.last and b.first <= a.last


@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("batch_size", [1, 33])
def test_no_two_buffers_are_in_the_same_place_at_once(cnn, mode, batch_size):
    found = cnn.explain_plan(batch_size, mode)
    assert max(b.offset + b.bytes for b in found.buffers) == found.arena_bytes
    assert sum(b.bytes for b in found.buffers) == found.unshared_bytes
    for a, b in itertools.combinations(found.buffers, 2):
        assert not together(a, b) or a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset


def test_buffers_live_from_their_first_use_to_their_last(cnn):
    found = cnn.explain_plan()
    for b in found.buffers:
        if b.kind != "workspace":  # these have one name for many; other tensors may have views of other names, too
            uses = [s.step for s in found.steps if any(b.name == name for name, _ in (s.reads | s.writes).values())]
            assert not uses or b.first <= uses[0] <= uses[-1] <= b.last
    lives = {b.name: (b.first, b.last) for b in found.buffers}
    assert lives["x"] == (-1, 19) and lives["conv2d.y"] == (0, 19)  # first_wgrad_in_dgrad reads both in step 19
    assert lives["leaky_re_lu_3.activation"] == (4, 14)  # as flatten.y it is read by the dense layer's wgrad
    assert lives["totals"] == (9, len(found.steps))


def test_buffers_have_their_kinds(cnn):
    kinds = {b.name: b.kind for b in cnn.explain_plan().buffers}
    expected = {"x": "input", "target 0": "input", "conv2d.y": "activation", "d dense_1.y": "gradient"}
    assert {name: kinds[name] for name in expected} == expected
    assert kinds["conv2d_fprop workspace"] == "workspace"


# --- the picture -----------------------------------------------------------------------------------------------------


def boxes(picture):
    """The rectangles of the buffers: x, y, width, height."""
    rects = ET.fromstring(picture).findall(f"{SVG}rect")
    sides = ("x", "y", "width", "height")
    return [tuple(float(r.get(side)) for side in sides) for r in rects if r.find(f"{SVG}title") is not None]


def deep():
    x = image = layers.Input((8, 8, 1))
    for _ in range(60):
        x = layers.Conv2D(2, 3, padding="same", activation="elu")(x)
    return compiled(models.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(x))))


@pytest.mark.parametrize("build", [lambda: compiled(networks.cnn()), lambda: compiled(networks.mlp()), deep])
def test_the_picture_has_a_box_for_each_buffer_and_none_leaves_it(build):
    found = build().explain_plan(4)
    root = ET.fromstring(found.picture())
    width, height = float(root.get("width")), float(root.get("height"))
    drawn = boxes(found.picture())
    assert len(drawn) == len(found.buffers)
    assert all(x > 0 and y > 0 and x + w < width and y + h < height and w > 0 and h > 0 for x, y, w, h in drawn)


def test_boxes_do_not_overlap(cnn):
    found = cnn.explain_plan()
    large = [box for box, b in zip(boxes(found.picture()), found.buffers, strict=True) if b.bytes > 20_000]
    assert len(large) > 15
    for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(large, 2):
        apart = 0.02  # numbers are written with two digits
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by + apart or by + bh <= ay + apart


def test_the_box_of_a_buffer_spans_its_steps_and_its_bytes(cnn):
    found = cnn.explain_plan()
    by_name = {b.name: (b, box) for b, box in zip(found.buffers, boxes(found.picture()), strict=True)}
    (a, first), (b, second) = by_name["conv2d.y"], by_name["conv2d_1.y"]
    assert first[2] / second[2] == pytest.approx((a.last - a.first + 1) / (b.last - b.first + 1), rel=0.01)
    assert first[3] / second[3] == pytest.approx(a.bytes / b.bytes, rel=0.01)
    assert second[0] > first[0] and (second[1] > first[1]) == (b.offset > a.offset)


def test_names_are_escaped():
    x = layers.Input((4, 4, 1), name="<&>")
    model = models.Model(x, layers.Conv2D(64, 3, name="<b>")(x))
    found = model.explain_plan(1024, mode="predict")
    assert "<b>.y" in {t.text for t in drawing(found.picture()).iter(f"{SVG}text")}
    assert "<b>" in {cell for row in Page(found._repr_html_()).rows for cell in row}


# --- what it takes, and files ----------------------------------------------------------------------------------------


def test_a_model_that_is_not_compiled_predicts():
    model = networks.conv()
    assert {s.phase for s in model.explain_plan(mode="predict").steps} == {"forward"}
    with pytest.raises(RuntimeError, match=r'explain_plan\(mode="train"\): expected a compiled model'):
        model.explain_plan()


def test_a_model_that_is_not_built_is_refused():
    model = compiled(models.Sequential([layers.Flatten(), layers.Dense(2)]))
    with pytest.raises(RuntimeError, match="explain_plan: expected a built model"):
        model.explain_plan()


def test_a_model_without_steps():
    x = layers.Input((4,))
    found = models.Model(x, layers.Flatten()(x)).explain_plan(mode="predict")
    assert found.steps == [] and str(found) and drawing(found._repr_html_()) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "fit"}, "mode must be one of 'train', 'evaluate', 'predict'. Received: mode='fit'"),
        ({"batch_size": 0}, "batch_size: expected a positive integer. Received: batch_size=0"),
    ],
)
def test_what_it_does_not_take(cnn, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        cnn.explain_plan(**arguments)


def test_a_batch_that_no_machine_holds_is_explained(cnn):
    assert cnn.explain_plan(10**7).arena_bytes > 10**12


def test_files(cnn, tmp_path):
    found = cnn.explain_plan(mode="predict")
    for name in ("arena.svg", "plan.HTML", "plan.txt"):
        found.save(tmp_path / name)
    assert ET.parse(tmp_path / "arena.svg").getroot().tag == f"{SVG}svg"
    page = (tmp_path / "plan.HTML").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and found.picture() in page
    assert (tmp_path / "plan.txt").read_text("utf-8") == f"{found}\n"
    with pytest.raises(ValueError, match=re.escape("path must end in one of .svg, .html, .txt. Received: ")):
        found.save(tmp_path / "plan.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arena.svg", "plan.HTML", "plan.txt"]


@pytest.mark.parametrize("width", [80, 160])
def test_text_stays_within_its_width(cnn, width):
    text = cnn.explain_plan().table(width)
    assert max(map(len, text.splitlines())) <= width
    assert "arena 13.09 MB" in text.replace("\n", " ")


def test_numbers_for_machines(cnn):
    found = cnn.explain_plan()
    numbers = json.loads(json.dumps(found.to_dict()))
    assert numbers["steps"][0]["writes"]["y"] == ["conv2d.y", [32, 32, 32, 32]]
    assert len(repr(found)) < 200
