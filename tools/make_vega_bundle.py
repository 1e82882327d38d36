"""Makes web/static/vega.min.js: Vega, Vega-Lite and Vega-Embed as one file; no page loads anything from elsewhere.

Run it when vl-convert-python is raised: `.venv/bin/python -m tools.make_vega_bundle`.
"""

from importlib.metadata import version
from pathlib import Path

import vl_convert

TARGET = Path(__file__).parent.parent / "web" / "static" / "vega.min.js"
VEGA_LITE = "6.1"
NOTICE = """/* Vega {vega}, Vega-Lite {vega_lite}, Vega-Embed {embed}; bundled by vl-convert-python {bundler}.
Copyright (c) 2015-2025 University of Washington Interactive Data Lab and contributors. BSD 3-Clause License:
https://github.com/vega/vega/blob/main/LICENSE; D3 is (c) Mike Bostock, ISC License. */
"""


def make_bundle() -> str:
    """The bundle's text, its notice included."""
    notice = NOTICE.format(
        vega=vl_convert.get_vega_version(),
        vega_lite=VEGA_LITE,
        embed=vl_convert.get_vega_embed_version(),
        bundler=version("vl-convert-python"),
    )
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    return notice + bundle.rstrip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(make_bundle(), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
