"""Sealed texts: nobody reads or makes one without the key of the store."""

from pathlib import Path

import pytest

from workflow_agents.engine.sealing import Sealer
from workflow_agents.errors import StoreError


def test_a_sealed_text_is_read_back_by_this_store_only(tmp_path: Path) -> None:
    one, other = Sealer(str(tmp_path / "a"), {}.get), Sealer(str(tmp_path / "b"), {}.get)
    for text in ("", "approval:wfr_1:1.0-1", "ü" * 100):
        sealed = one.seal(text)
        assert sealed.isascii()
        assert not {*sealed} & {*"+/=&?"}
        assert one.open(sealed) == text
        for wrong in (sealed[:-3], sealed[1:], "A" + sealed, "", "?", "ü", "A" * 400):
            with pytest.raises(StoreError):
                one.open(wrong)
        with pytest.raises(StoreError):
            other.open(sealed)
