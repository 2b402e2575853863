"""Networks as values: their text and back, and parts that come from elsewhere."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import msgspec
import pytest
import torch
from tiny_model import CONFIG, TINIEST

from bitfloor.codecs.image.config import ImageConfig
from bitfloor.codecs.image.presets import all_presets
from bitfloor.codecs.image.transforms.base import TransformConfig
from bitfloor.entropy_models import parts
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, NON_ANCHOR
from bitfloor.entropy_models.latent.contexts.base import ContextConfig
from bitfloor.entropy_models.latent.contexts.channel import Channel
from bitfloor.entropy_models.latent.contexts.local import Local
from bitfloor.entropy_models.latent.heads.base import HeadConfig
from bitfloor.entropy_models.latent.hyperpriors.base import HyperConfig
from bitfloor.entropy_models.latent.known import Known, Place
from bitfloor.entropy_models.latent.slice_model import SliceModel, Slices
from bitfloor.entropy_models.parts import from_json, to_json
from bitfloor.errors import ModelError


@pytest.mark.parametrize("config", [CONFIG, TINIEST, *all_presets().values()])
def test_a_network_is_its_text(config: ImageConfig) -> None:
    text = to_json(config)
    assert from_json(text, ImageConfig) == config
    assert to_json(from_json(text, ImageConfig)) == text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.pop("transform"), "transform"),
        (lambda raw: raw.update(colour=1), "colour"),
        (lambda raw: raw["hyper"].update(width="wide"), r"int.*str.*width"),
        (lambda raw: raw["hyper"].update(type="none"), r"'none'.*depthwise"),
        (lambda raw: raw["slices"].update(channels=[4, 0]), "at least one"),
        (lambda raw: raw["slices"]["contexts"].append({"type": "channel"}), "twice"),
        (lambda raw: raw["slices"]["contexts"].append("channel"), "object"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_one_line(change, words: str) -> None:  # type: ignore[no-untyped-def]
    raw = msgspec.json.decode(to_json(CONFIG))
    change(raw)
    with pytest.raises(ModelError, match=rf"^the network's configuration is wrong: .*{words}[^\n]*$"):
        from_json(msgspec.json.encode(raw), ImageConfig)
    with pytest.raises(ModelError, match="configuration is wrong"):
        from_json(b"{", ImageConfig)


class Elsewhere(ContextConfig, msgspec.Struct, frozen=True, tag="elsewhere"):
    """A context of another package: tells the hyper features again, to the anchors of the first slice only."""

    def width_at(self, place: Place) -> int:
        return place.hyper

    def applies(self, place: Place) -> bool:
        return not place.before

    def passes_at(self, place: Place) -> tuple[int, ...]:
        return (ANCHOR,)

    def build(self, place: Place) -> torch.nn.Module:
        class Again(torch.nn.Module):
            def forward(self, known):  # type: ignore[no-untyped-def]
                return known.hyper

        return Again()


def test_a_part_may_come_from_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("far", f"{__name__}:Far", "bitfloor.contexts")
    asked = []

    def load(self: metadata.EntryPoint) -> type:
        asked.append(self.name)
        return type("Far", (ContextConfig, msgspec.Struct), {"__module__": __name__}, frozen=True, tag="far")

    monkeypatch.setattr(metadata.EntryPoint, "load", load)
    monkeypatch.setattr(parts, "entry_points", lambda group, name: [point] if name == "far" else [])
    assert parts.find(ContextConfig, "far").__struct_config__.tag == "far"
    assert asked == ["far"]
    with pytest.raises(ValueError, match=r"no contexts part 'farther'.*channel"):
        parts.find(ContextConfig, "farther")


def test_a_context_is_asked_where_it_applies() -> None:
    slices = Slices((4, 6), (Local(width=5), Channel(width=3), Elsewhere()))
    first, second = (SliceModel(slices, index, hyper=8, embedding=2) for index in (0, 1))
    hyper, own = torch.randn(1, 4, 4, 8), torch.randn(1, 2, 2, 2, 4)
    known = Known(hyper)
    told = first.tell(ANCHOR, known, first.gather(known))
    assert {name: value.shape[-1] for name, value in told.items()} == {"hyper": 8, "elsewhere": 8}
    assert torch.equal(told["elsewhere"], told["hyper"])
    told = first.tell(NON_ANCHOR, known.with_anchors(own), first.gather(known))
    assert {name: value.shape[-1] for name, value in told.items()} == {"hyper": 8, "local": 5}
    known = Known(hyper, (torch.randn(1, 4, 4, 4),))
    told = second.tell(ANCHOR, known, second.gather(known))
    assert {name: value.shape[-1] for name, value in told.items()} == {"hyper": 8, "channel": 3}


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "networks.md").read_text(encoding="utf-8")
    example, *_ = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names: dict[str, object] = {}
    exec(example, names)
    before, after = (from_json(to_json(names[name]), ImageConfig).slices for name in ("small", "ablation"))
    assert len(after.contexts) == len(before.contexts) - 1 and after.channels == before.channels
    families = ((TransformConfig, "patch"), (ContextConfig, "local"), (HeadConfig, "joint"), (HyperConfig, "depthwise"))
    for family, known in families:  # every member stands in the table
        parts.find(family, known)
        own = [tag for tag, cls in parts._members(family).items() if cls.__module__.startswith(family.package)]
        assert own and all(f"`{tag}`" in page for tag in own)
