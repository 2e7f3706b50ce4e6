"""Images and the figures of a classifier: the digits, folders of one's own, top-1 with ties."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from small_vit import images as noise
from small_vit import small_vit

from intsim.errors import IntsimError
from intsim.measure.network import Data, open_task
from intsim.measure.network.images import HELD_OUT, digits, evaluate, logits_of, read
from intsim.schemes import ivit


def test_the_stored_digits_are_scikit_learns_in_its_order():
    source = load_digits()
    training, held_out = digits(held_out=False), digits(held_out=True)
    assert (len(training), len(held_out)) == (1797 - HELD_OUT, HELD_OUT)
    pixels = np.concatenate([training.pixels(), held_out.pixels()])
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1797, 1, 8, 8))
    np.testing.assert_array_equal(pixels[:, 0], np.minimum(16 * source.images, 255))
    np.testing.assert_array_equal(np.concatenate([training.classes, held_out.classes]), source.target)


def test_no_held_out_digit_is_among_those_for_training():
    seen = {image.tobytes() for image in digits(held_out=False).pixels()}
    assert not any(image.tobytes() in seen for image in digits(held_out=True).pixels())


def test_images_are_drawn_and_set_apart_by_seed():
    data = digits()
    apart, rest = data.set_apart(100, seed=3)
    assert (len(apart), len(rest)) == (100, 260)
    assert not {id(item) for item in apart.items} & {id(item) for item in rest.items}
    assert apart.digest() == data.choose(100, seed=3).digest() != data.choose(100, seed=4).digest()
    assert [len(pixels) for _, pixels in apart.batches(64)] == [64, 36]


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_folder_of_png_files_is_judged_as_the_digits_themselves(tmp_path):
    data = digits().choose(40)
    for number, (pixels, label) in enumerate(zip(data.items, data.classes, strict=True)):
        write_png(tmp_path / str(label) / f"{number:03}.png", pixels[0])
    found = read(tmp_path, open_task("digits-vit").model)
    order = np.argsort(data.classes, kind="stable")
    np.testing.assert_array_equal(found.pixels(), data.pixels()[order])
    np.testing.assert_array_equal(found.classes, data.classes[order])
    task = open_task("digits-vit", Data(images=tmp_path))
    assert [len(batch) for batch in task.samples] == [10]  # a quarter calibrates
    judged = found.set_apart(10)[1]
    network = task.design(ivit)
    figures = task.evaluate(network)
    assert figures["images"] == len(judged) == 30
    for side, logits in (("float", task.model.real(judged.pixels())["logits"]), ("integer", network(judged.pixels()))):
        answers = np.asarray(logits.decode() if side == "integer" else logits).argmax(axis=1)
        assert figures[side]["top1"]["mean"] == pytest.approx((answers == judged.classes).mean())


def test_files_come_in_the_models_size_and_channels(tmp_path):
    model = small_vit()  # 3 channels, 8 x 12
    stored = noise(seed=1, batch=1)[0]
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "1.npy", stored)
    write_png(tmp_path / "3" / "grey.png", np.full((32, 48), 200, dtype=np.uint8))
    write_png(tmp_path / "e" / "red.png", np.full((5, 7, 3), (250, 10, 20), dtype=np.uint8))
    (tmp_path / "e" / "about.txt").write_text("not an image")
    found = read(tmp_path, model)
    assert found.classes.tolist() == [3, 0, 4]
    grey, array, red = found.pixels()
    np.testing.assert_array_equal(array, stored)
    assert set(np.unique(grey)) == {200}
    assert [set(np.unique(channel)) for channel in red] == [{250}, {10}, {20}]


def test_folders_that_do_not_fit_are_refused(tmp_path):
    model = small_vit()
    with pytest.raises(IntsimError, match=r"no images .* one sub-folder per class"):
        read(tmp_path, model)
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b" / "1.npy", np.zeros((3, 12, 8), dtype=np.uint8))
    with pytest.raises(IntsimError, match=r"holds uint8 \(3, 12, 8\); the model takes integers \(3, 8, 12\)"):
        read(tmp_path, model).pixels()
    (tmp_path / "b" / "1.npy").write_bytes(b"nothing")
    with pytest.raises(IntsimError, match=r"cannot read .*1\.npy"):
        read(tmp_path, model).pixels()
    (tmp_path / "b" / "1.npy").rename(tmp_path / "b" / "1.png")
    with pytest.raises(IntsimError, match=r"cannot read .*1\.png"):
        read(tmp_path, model).pixels()
    write_png(tmp_path / "zebra" / "1.png", np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(IntsimError, match="zebra names no class of the model; use its labels, such as 'a'"):
        read(tmp_path, model)


def test_one_image_alone_cannot_be_judged(tmp_path):
    write_png(tmp_path / "1" / "1.png", digits().items[0][0])
    with pytest.raises(IntsimError, match="at least two"):
        open_task("digits-vit", Data(images=tmp_path))


def test_top1_counts_ties_as_wrong_and_pairs_the_difference():
    classes = np.array([0, 1, 2, 1])
    real = np.eye(3)[classes]
    got = np.array([[5, 1, 0], [0, 7, 7], [1, 0, 0], [-3, -1, -2]])
    found = evaluate(real, got, classes)
    assert (found["float"]["top1"]["mean"], found["integer"]["top1"]["mean"]) == (1.0, 0.5)
    assert found["difference"]["top1"]["mean"] == -0.5
    assert found["same"]["mean"] == 0.75
    assert found["integer"]["top1"]["low"] <= 0.5 <= found["integer"]["top1"]["high"]


def test_progress_ends_at_the_number_of_images():
    seen = []
    logits = logits_of(lambda pixels: pixels.reshape(len(pixels), -1), digits().choose(70), lambda *at: seen.append(at))
    assert logits.shape == (70, 64)
    assert seen == [(64, 70), (70, 70)]
