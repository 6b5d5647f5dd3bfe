"""The model table: complete for models that answer, honest about the rest."""

import subprocess
import sys
import typing

import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import Model as SdkModel

from claude_nb import models

CALLABLE = models.known()


def test_the_default_model_is_active():
    default = models.find(models.MODEL)
    assert default is not None
    assert default.lifecycle == "active"
    assert not default.limited_access


def test_using_the_default_model_draws_no_deprecation_warning_from_the_sdk():
    assert models.MODEL not in DEPRECATED_MODELS


def test_every_model_id_the_sdk_lists_is_known():
    literal = typing.get_args(SdkModel)[0]
    assert [name for name in typing.get_args(literal) if models.find(name) is None] == []


def test_ids_and_aliases_are_unique():
    names = [
        name
        for model in models.known("active", "deprecated", "retired")
        for name in (model.id, *model.aliases)
    ]
    assert len(names) == len(set(names))


def test_an_alias_finds_the_dated_model():
    found = models.find("claude-haiku-4-5")
    assert found is not None
    assert found.id == "claude-haiku-4-5-20251001"


def test_an_unknown_id_is_none_and_not_an_error():
    assert models.find("local-lm") is None


@pytest.mark.parametrize("model", CALLABLE, ids=lambda model: model.id)
def test_a_callable_model_is_consistent(model):
    assert model.thinking_modes
    assert not model.thinks_by_default or "adaptive" in model.thinking_modes
    assert (model.default_effort in model.efforts) if model.efforts else model.default_effort is None
    assert model.effort_cap_without_thinking is None or model.effort_cap_without_thinking in model.efforts
    assert model.tokenizer == (2 if model.thinking_display == "omitted" else 1)
    assert set(model.inferred) <= set(model.__slots__)
    if model.id != "claude-mythos-preview":  # its limits were never published
        assert model.max_input_tokens is not None
        assert model.max_tokens is not None
        assert model.min_cacheable_tokens in {512, 1024, 2048, 4096}


def test_retired_models_are_listed_only_on_request_and_carry_the_date():
    retired = models.known("retired")
    assert not set(retired) & set(CALLABLE)
    assert all(model.retires_at for model in retired)
    first = models.find("claude-3-5-sonnet-20240620")
    assert first is not None
    assert (first.lifecycle, first.retires_at) == ("retired", "2025-10-28")


def test_the_module_needs_only_the_standard_library():
    code = "import sys, claude_nb.models; print({'anthropic', 'httpx2', 'pydantic'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
