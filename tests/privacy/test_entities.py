"""Adapters of entity models, without the models: what they hand on, what they say if missing."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trunkline.errors import InputError
from trunkline.privacy.entities import Entity, Gliner, Presidio
from trunkline.privacy.spans import Kind


def fake(name: str, patch: pytest.MonkeyPatch, **content: Any) -> None:
    """A package *name* that is a fake with *content*."""
    module = ModuleType(name)
    vars(module).update(content)
    patch.setitem(sys.modules, name, module)


def test_presidio_hands_on_the_kinds_that_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the configuration file that names its models; a nationality is nobody's."""
    asked = []

    class Provider:
        def __init__(self, analyzer_engine_conf_file: str) -> None:
            asked.append(analyzer_engine_conf_file)

        def create_engine(self) -> SimpleNamespace:
            def analyze(text: str, language: str) -> list[SimpleNamespace]:
                asked.append(f"{language}: {text}")
                return [
                    SimpleNamespace(start=0, end=5, entity_type="PERSON", score=0.85),
                    SimpleNamespace(start=6, end=8, entity_type="NRP", score=0.9),
                ]

            return SimpleNamespace(analyze=analyze)

    fake("presidio_analyzer", monkeypatch, AnalyzerEngineProvider=Provider)
    model = Presidio("analyzer.yaml")
    assert model.entities("Sarah is") == [Entity(0, 5, Kind.NAME, 0.85)]
    assert asked == ["analyzer.yaml", "en: Sarah is"]


def test_gliner_reads_a_local_model_and_fetches_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels that it is asked for are ours; another one is refused."""
    asked = []

    class Model:
        @classmethod
        def from_pretrained(cls, path: str, local_files_only: bool) -> "Model":
            asked.append((path, local_files_only))
            return cls()

        def predict_entities(
            self, text: str, labels: list[str], threshold: float
        ) -> list[dict[str, object]]:
            return [{"start": 0, "end": 4, "label": labels[1], "score": threshold}]

    fake("gliner", monkeypatch, GLiNER=Model)
    (entity,) = Gliner("/models/small").entities("Rome")
    assert (entity.kind, asked) == (Kind.ADDRESS, [("/models/small", True)])
    with pytest.raises(InputError, match="'shoe size'"):
        Gliner("/models/small", ["shoe size"])


@pytest.mark.parametrize(("package", "make"), [("presidio_analyzer", Presidio), ("gliner", Gliner)])
def test_a_missing_package_is_named_with_its_extra(
    package: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator reads what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}.*pip install 'trunkline\["):
        make("model")
