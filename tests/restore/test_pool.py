"""Several restorers as one, against a single one."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gpen_video.errors import DeviceError
from gpen_video.nets.gpen import Gpen, GpenConfig
from gpen_video.restore import (
    GpenRestorer,
    LatentRestorer,
    LatentRestorerPool,
    RestorerPool,
    choose_devices,
    choose_precision,
    restore_faces,
)
from gpen_video.weights import load_gpen
from tests.restore.test_stage import film

CPU = torch.device("cpu")
SIDE = 32


def tiny() -> Gpen:
    torch.manual_seed(0)
    return Gpen(GpenConfig(SIDE, narrow=1 / 16, style_dim=32, mapping_layers=2))


def members(count: int, batch: int = 0) -> list[GpenRestorer]:
    return [GpenRestorer(tiny(), device=CPU, batch=batch) for _ in range(count)]


def crops(count: int, side: int = SIDE) -> np.ndarray:
    rgb = np.random.default_rng(1).random((count, side, side, 3), np.float32)
    rgb.flags.writeable = False
    return rgb


class Recursive:
    """A filter whose every answer depends on all latents before."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []
        self.state = np.float32(0)

    def __call__(self, latents_nd: np.ndarray) -> np.ndarray:
        made = []
        for latent in latents_nd:
            self.seen.append(latent)
            self.state = np.float32(0.9) * self.state + np.float32(0.1) * latent
            made.append(self.state)
        return np.stack(made)


@pytest.fixture(scope="module")
def shipped() -> list[GpenRestorer]:
    return [GpenRestorer(load_gpen("gpen-lite-256", offline=True).net, device=CPU) for _ in range(3)]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("size", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_with_the_shipped_weights_a_pool_gives_the_bits_of_one(shipped: list[GpenRestorer], size: int) -> None:
    rgb = crops(5, 256)
    single, alone = shipped[0], Recursive()
    plain, steadied = single.restore(rgb), single.restore_steadied(rgb, alone)
    with LatentRestorerPool(shipped[:size]) as pool:
        for count in (0, 1, 2, 5):
            assert np.array_equal(pool.restore(rgb[:count]), plain[:count])
            together = Recursive()
            assert np.array_equal(pool.restore_steadied(rgb[:count], together), steadied[:count])
            assert len(together.seen) == count
            assert all(map(np.array_equal, together.seen, alone.seen))


@pytest.mark.parametrize("size", [2, 3])
def test_the_stage_gives_the_bits_of_one_with_memory_along_tracks(size: int) -> None:
    one = list(restore_faces(film(), members(1)[0], max_wait=4, steady_latent=0.8))
    with LatentRestorerPool(members(size)) as pool:
        assert isinstance(pool, LatentRestorer)
        several = list(restore_faces(film(), pool, max_wait=4, steady_latent=0.8))
    for a, b in zip(one, several, strict=True):
        assert a.frame is not None
        for face, other in zip(a.faces, b.faces, strict=True):
            assert np.array_equal(face.rgb_hwc, other.rgb_hwc)


@pytest.mark.parametrize("batches", [(1, 1), (4, 4), (3, 1), (1, 2, 5)])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 23])
def test_each_face_is_dealt_to_one_member_and_none_gets_more_than_its_batch(
    batches: tuple[int, ...], count: int
) -> None:
    class Plain:
        size = SIDE

        def __init__(self, batch: int) -> None:
            self.batch = batch
            self.parts: list[int] = []
            self.threads: set[int] = set()

        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            self.parts.append(len(rgb_nhwc))
            self.threads.add(threading.get_ident())
            return rgb_nhwc / 2

    plain = [Plain(batch) for batch in batches]
    with RestorerPool(plain) as pool:
        assert (pool.size, pool.batch) == (SIDE, sum(batches))
        assert not isinstance(pool, LatentRestorer)
        assert np.array_equal(pool.restore(crops(count)), crops(count) / 2)
        assert np.array_equal(pool.restore(crops(count)), crops(count) / 2)
    for member in plain:
        assert all(0 < part <= member.batch for part in member.parts)
        assert len(member.threads) <= 1
    assert sum(sum(member.parts) for member in plain) == 2 * count
    if len(set(batches)) == 1 and count >= len(batches):
        loads = [sum(member.parts) for member in plain]
        assert max(loads) - min(loads) <= 2 * batches[0]


def test_a_batch_is_dealt_before_anyone_is_at_work() -> None:
    """Else a member that halves its batch meanwhile would change who gets what, as chance has it."""
    at_work, asked = threading.Event(), []

    class Plain:
        size = SIDE

        @property
        def batch(self) -> int:
            asked.append(at_work.wait(0.05))  # time enough for a part that was handed out already to begin
            return 2

        def restore(self, rgb_nhwc: np.ndarray) -> np.ndarray:
            at_work.set()
            return rgb_nhwc

    with RestorerPool([Plain(), Plain()]) as pool:
        assert np.array_equal(pool.restore(crops(7)), crops(7))
    assert asked and not any(asked)
    assert at_work.is_set()


def test_members_compute_at_the_same_time_also_when_latents_are_steadied() -> None:
    both = threading.Barrier(2, timeout=5)

    class Meeting(GpenRestorer):
        def _run(self, *arguments: object) -> np.ndarray:
            both.wait()
            return super()._run(*arguments)  # type: ignore[arg-type]

    with LatentRestorerPool([Meeting(tiny(), device=CPU, batch=3) for _ in range(2)]) as pool:
        pool.restore(crops(6))
        pool.restore_steadied(crops(12), Recursive())


def out_of_memory_above(limit: int, net: Gpen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("encode", "decode"):
        method = getattr(net, name)

        def limited(tensor: torch.Tensor, *more: object, method: object = method) -> object:
            if len(tensor) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            return method(tensor, *more)  # type: ignore[operator]

        monkeypatch.setattr(net, name, limited)


def test_a_member_without_memory_halves_its_batch_and_the_pool_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny()
    out_of_memory_above(2, net, monkeypatch)
    with LatentRestorerPool([GpenRestorer(net, device=CPU, batch=8), *members(1, batch=8)]) as pool:
        alone, together = Recursive(), Recursive()
        expected = members(1)[0].restore_steadied(crops(11), alone)
        np.testing.assert_allclose(pool.restore_steadied(crops(11), together), expected, atol=1e-4)
        np.testing.assert_allclose(together.seen, alone.seen, atol=1e-5)
        assert pool.batch == 2 + 8


def test_a_member_that_fails_for_good_is_named_and_the_others_go_free(monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny()
    out_of_memory_above(0, net, monkeypatch)
    with LatentRestorerPool([*members(2), GpenRestorer(net, device=CPU)], [CPU, CPU, CPU]) as pool:
        for _ in range(3):
            with pytest.raises(DeviceError, match=r"^cpu: not enough memory for one face") as caught:
                pool.restore_steadied(crops(9), Recursive())
            assert caught.value.__notes__ == ["while restoring on cpu"]
        with pytest.raises(DeviceError):
            pool.restore(crops(3))


def test_an_error_of_the_filter_passes_through_unchanged() -> None:
    error = KeyError("mine")

    def failing(latents_nd: np.ndarray) -> np.ndarray:
        raise error

    with LatentRestorerPool(members(3)) as pool:
        with pytest.raises(KeyError) as caught:
            pool.restore_steadied(crops(7), failing)
        assert caught.value is error
        assert np.array_equal(pool.restore(crops(2)), members(1)[0].restore(crops(2)))  # it is still of use


def test_calls_from_several_threads_do_not_mix() -> None:
    expected = members(1)[0].restore_steadied(crops(8), Recursive())
    made: list[np.ndarray] = []
    with LatentRestorerPool(members(2)) as pool:

        def call() -> None:
            made.append(pool.restore_steadied(crops(8), Recursive()))

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert len(made) == 4
    assert all(np.array_equal(one, expected) for one in made)


def test_a_pool_that_nobody_closed_ends_with_its_last_user() -> None:
    before = threading.active_count()
    pool = LatentRestorerPool(members(2))
    pool.restore(crops(2))
    assert threading.active_count() == before + 2
    del pool
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.02)
    assert threading.active_count() == before


def test_closing_ends_all_threads_at_once() -> None:
    before = threading.active_count()
    pool = LatentRestorerPool(members(3))
    pool.restore(crops(3))
    assert threading.active_count() == before + 3
    pool.close()
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.restore(crops(1))


def test_members_must_fit_together() -> None:
    other = GpenRestorer(Gpen(GpenConfig(16, narrow=1 / 16, style_dim=32, mapping_layers=2)), device=CPU)
    for restorers in ([], [*members(1), other]):
        with pytest.raises(ValueError, match="restorers of one size"):
            LatentRestorerPool(restorers)
    with pytest.raises(ValueError, match="zip"):
        LatentRestorerPool(members(2), [CPU])


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what torch says is there; nothing is computed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7 if device.index == 3 else 8, 0))


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", "cuda:0"),
        ("cuda", "cuda:0"),
        ("cuda:0,1", "cuda:0 cuda:1"),
        ("cuda:3,1,0", "cuda:3 cuda:1 cuda:0"),
        ("cuda:0,cuda:2", "cuda:0 cuda:2"),
        ("cuda:all", "cuda:0 cuda:1 cuda:2 cuda:3"),
        ("cpu,cpu", "cpu cpu"),
        ("cuda:1,cpu", "cuda:1 cpu"),
    ],
)
def test_devices_are_named_in_one_way(name: str, expected: str) -> None:
    assert " ".join(map(str, choose_devices(name))) == expected


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda:0,4", "'cuda:4' is not there: this machine has 4 CUDA devices"),
        ("cuda:1,1", "names cuda:1 twice"),
        ("cuda,cuda:0", "names cuda:0 twice"),
        ("cuda:all,cuda:0", "names cuda:0 twice"),
        ("0,1", "'0' is not"),
        ("cuda:0,", "'' is not known"),
        ("auto,cpu", "'auto' is not known"),
    ],
)
def test_devices_that_cannot_be_are_one_clear_line(name: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        choose_devices(name)
    assert "\n" not in str(caught.value)


def test_all_gpus_of_a_machine_without_one() -> None:
    if torch.cuda.is_available():
        pytest.skip("has one")
    with pytest.raises(DeviceError, match="this machine has 0 CUDA devices; use --device auto"):
        choose_devices("cuda:all")


@pytest.mark.usefixtures("four_gpus")
def test_several_devices_compute_in_a_precision_that_all_can() -> None:
    assert choose_precision("auto", *choose_devices("cuda:0,1")) == "bf16"
    assert choose_precision("auto", *choose_devices("cuda:0,3")) == "fp32"
    assert choose_precision("auto", *choose_devices("cuda:0,cpu")) == "fp32"


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_give_the_faces_of_one() -> None:
    devices = choose_devices("cuda:0,1")
    rgb = crops(9)
    expected = GpenRestorer(tiny(), device=devices[0], batch=4).restore_steadied(rgb, Recursive())
    pool = LatentRestorerPool([GpenRestorer(tiny(), device=device, batch=4) for device in devices], devices)
    with pool:
        np.testing.assert_allclose(pool.restore_steadied(rgb, Recursive()), expected, atol=1e-4)
