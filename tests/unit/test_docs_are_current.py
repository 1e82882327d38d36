"""The generated pages of docs/ say what the code says."""

from runtime.settings import Settings
from tools import make_docs


def test_every_generated_page_is_what_the_code_says() -> None:
    assert make_docs.out_of_date() == [], "run `make docs`"


def test_every_setting_is_documented_with_a_sentence() -> None:
    page = make_docs.configuration()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        documented = {f"{name}.{key}": value for key, value in inner.items()} if inner else {name: field}
        for full_name, setting in documented.items():
            assert f"| `{full_name}` |" in page
            assert setting.description, f"{full_name} has no description"


def test_a_page_shows_no_secret_as_its_default() -> None:
    assert "SecretStr" not in make_docs.configuration()
    assert "****" not in make_docs.configuration()
