import copy

import numpy as np
import pytest
import torch
from torch import nn

from predict_helpers import PATCH_PX, small_bundle, small_settings
from tomolith.config import optional
from tomolith.errors import MissingExtraError, ResourceError
from tomolith.learn import backends
from tomolith.learn.backends import (
    BackendInfo,
    TorchBackend,
    build_backend,
    is_faithful,
    resolve,
)

SHAPE = (3, 1, PATCH_PX, PATCH_PX)


@pytest.fixture(params=["unet", "transforcnn"])
def network(request):
    return small_bundle(request.param).build_network()


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def eager(network, batch):
    with torch.inference_mode():
        return network(torch.from_numpy(batch)).numpy()


# Of TransforCNN on patches of 32 pixels (4 tokens) OpenVINO 2026.4 fuses the attention
# wrongly; build_backend notices and builds it again without the fused kernels.
@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_fp32_backends_give_the_network_s_logits(network, batch, backend):
    if backend == "openvino":
        pytest.importorskip("openvino")
    built = build_backend(network, SHAPE, small_settings(backend=backend, precision="fp32"))
    assert (built.name, built.precision) == (backend, "fp32")
    out = built.logits(batch)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, eager(network, batch), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["mixed", "bf16"])
def test_low_precision_stays_near_the_network_s_logits(network, batch, backend, precision):
    if backend == "openvino":
        pytest.importorskip("openvino")
    built = build_backend(network, SHAPE, small_settings(backend=backend, precision=precision))
    assert built.precision == precision
    expected = eager(network, batch)
    error = np.abs(built.logits(batch) - expected).mean() / np.abs(expected).mean()
    assert error < 0.05


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "mixed", "bf16"])
def test_logits_of_a_patch_do_not_depend_on_its_company(network, batch, backend, precision):
    if backend == "openvino":
        pytest.importorskip("openvino")
    chosen = small_settings(backend=backend, precision=precision, threads=2)
    built = build_backend(network, SHAPE, chosen)
    together = built.logits(batch)
    for i in range(len(batch)):
        alone = np.zeros_like(batch)
        alone[-1 - i] = batch[i]
        assert np.array_equal(built.logits(alone)[-1 - i], together[i])


@pytest.mark.parametrize("precision", ["mixed", "bf16"])
def test_the_network_is_left_as_it_is(network, precision):
    before = copy.deepcopy(network.state_dict())
    TorchBackend(network, SHAPE, precision=precision)
    after = network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_thread_that_infers_has_the_threads_asked_for(network, batch):
    built = build_backend(network, SHAPE, small_settings(threads=2))
    built.logits(batch)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_auto_takes_openvino_on_the_cpu_where_it_is_installed():
    pytest.importorskip("openvino")
    chosen = resolve(small_settings(backend="auto", device="cpu"))
    assert (chosen.name, chosen.device) == ("openvino", "cpu")


@pytest.mark.parametrize(("native", "precision"), [(True, "mixed"), (False, "fp32")])
def test_auto_rounds_where_the_processor_computes_bf16(monkeypatch, native, precision):
    monkeypatch.setattr(backends, "has_bf16", lambda device: native)
    assert resolve(small_settings(precision="auto")).precision == precision
    assert resolve(small_settings(precision="fp32")).precision == "fp32"


def test_auto_takes_torch_where_openvino_is_not_installed(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert resolve(small_settings(backend="auto")).name == "torch"


def test_openvino_asked_for_and_not_installed_names_the_extra(monkeypatch, network):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(optional.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'tomolith\[fast\]'"):
        build_backend(network, SHAPE, small_settings(backend="openvino"))
    assert build_backend(network, SHAPE, small_settings(backend="auto")).name == "torch"


class Untraceable(nn.Module):
    """A network that OpenVINO cannot take."""

    def forward(self, image):
        if torch.jit.is_tracing():
            raise RuntimeError("cannot be traced")
        return torch.cat([image, -image], dim=1)


def test_a_network_that_openvino_cannot_take_runs_in_torch(batch):
    pytest.importorskip("openvino")
    built = build_backend(Untraceable(), SHAPE, small_settings(backend="auto"))
    assert built.name == "torch"
    assert built.logits(batch).shape == (3, 2, PATCH_PX, PATCH_PX)
    with pytest.raises(ResourceError, match="backend: torch"):
        build_backend(Untraceable(), SHAPE, small_settings(backend="openvino"))


def test_an_openvino_that_computes_something_else_is_not_used(monkeypatch):
    pytest.importorskip("openvino")
    network = small_bundle().build_network()
    monkeypatch.setattr(backends, "is_faithful", lambda *_, **__: False)
    assert build_backend(network, SHAPE, small_settings(backend="auto")).name == "torch"
    with pytest.raises(ResourceError, match="other logits"):
        build_backend(network, SHAPE, small_settings(backend="openvino"))


def test_an_openvino_that_cannot_compile_the_network_is_not_used(monkeypatch):
    openvino = pytest.importorskip("openvino")

    def fail(*_):
        raise RuntimeError("no kernel\nat some place")

    monkeypatch.setattr(openvino.Core, "compile_model", fail)
    network = small_bundle().build_network()
    built = build_backend(network, SHAPE, small_settings(backend="auto"))
    assert BackendInfo.of(built).name == "torch"
    with pytest.raises(ResourceError, match=r"run the network: no kernel\n(.|\n)*backend: torch"):
        build_backend(network, SHAPE, small_settings(backend="openvino"))


def test_faithful_means_the_same_bits_in_any_company(network):
    exact = build_backend(network, SHAPE, small_settings(precision="fp32")).logits
    assert is_faithful(exact, network, SHAPE, precision="fp32")

    def by_place(batch):
        return exact(batch) + 1e-7 * np.arange(len(batch), dtype=np.float32)[:, None, None, None]

    assert not is_faithful(by_place, network, SHAPE, precision="fp32")


def test_faithful_means_no_more_error_than_rounding_brings(network):
    rounded = build_backend(network, SHAPE, small_settings(precision="mixed")).logits
    assert is_faithful(rounded, network, SHAPE, precision="mixed")
    assert not is_faithful(rounded, network, SHAPE, precision="fp32")

    def worse(batch):
        return rounded(batch) * np.float32(1.1)

    assert not is_faithful(worse, network, SHAPE, precision="mixed")


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="device: cpu"):
        resolve(small_settings(backend="auto", device="cuda"))
    assert resolve(small_settings(backend="auto", device="auto")).device == "cpu"


def test_a_gpu_is_taken_with_torch_in_mixed_precision_and_larger_batches(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    chosen = resolve(small_settings(backend="auto", device="auto"))
    assert (chosen.name, chosen.device, chosen.precision) == ("torch", "cuda", "mixed")
    assert chosen.batch_size > resolve(small_settings()).batch_size


def test_what_ran_is_said_in_one_line(network):
    built = build_backend(network, SHAPE, small_settings(precision="fp32"))
    said = str(BackendInfo.of(built))
    assert said == f"torch {torch.__version__} fp32 on cpu, 1 thread"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "mixed", "bf16"])
def test_a_gpu_gives_nearly_the_same_logits(network, batch, precision):
    chosen = small_settings(device="cuda", precision=precision)
    out = build_backend(network, SHAPE, chosen).logits(batch)
    expected = eager(network, batch)
    assert np.abs(out - expected).mean() / np.abs(expected).mean() < 0.05
