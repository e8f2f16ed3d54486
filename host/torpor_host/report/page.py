# SPDX-License-Identifier: MIT
"""report.html: one self-contained file, no script, nothing fetched."""

import base64
import html
from pathlib import Path
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#22303c;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem}
p.sub{color:#5b6b79;margin-top:.2rem}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;
border-bottom:1px solid #e3e8ec}
td.n{text-align:right;font-variant-numeric:tabular-nums}
img{max-width:100%;height:auto}
.cards{display:flex;flex-wrap:wrap;gap:1rem;margin:1.2rem 0}
.card{flex:1 1 11rem;background:#f3f6f8;border-radius:.5rem;padding:.7rem 1rem}
.card b{display:block;font-size:1.5rem}.card span{color:#5b6b79;font-size:.9rem}
"""


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{html.escape(a)}</td><td class=n>{html.escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{cells}</table>"


def _card(value: str, what: str) -> str:
    return f"<div class=card><b>{html.escape(value)}</b><span>{html.escape(what)}</span></div>"


def _cards(s: dict[str, Any]) -> str:
    battery = s["battery"]
    cards = [
        _card(
            f"{s['uplinks']['total']:,}",
            f"frames, {s['uplinks']['saved_percent']:.1f} % fewer than every 30 min",
        ),
        _card(
            f"{battery['life_days'] / 365.25:.1f} years",
            f"on {battery['name']} ({battery['life_low_days'] / 365.25:.1f} to "
            f"{battery['life_high_days'] / 365.25:.1f})",
        ),
        _card(f"{s['energy']['average_uw']:.0f} uW", "average power"),
    ]
    if s.get("events"):
        e = s["events"]
        cards.insert(
            0,
            _card(
                f"{e['caught']} of {e['events']}", f"events caught ahead, {e['false_alarms']} false alarms"
            ),
        )
    return f"<div class=cards>{''.join(cards)}</div>"


def write(summary: dict[str, Any], png: Path, path: Path) -> None:
    """Write the page for a summary (lifecycle.py says what is in it) with the picture inside."""
    s = summary
    picture = base64.b64encode(png.read_bytes()).decode()
    energy = [
        (c, f"{uj / 1e6:,.3f} J") for c, uj in sorted(s["energy"]["by_cause_uj"].items(), key=lambda i: -i[1])
    ]
    run = [(k, f"{v:,}") for k, v in s["counters"].items()]
    events = [
        (k.replace("_", " "), f"{v:g}" if isinstance(v, float) else str(v))
        for k, v in (s.get("events") or {}).items()
    ]
    assumed = "".join(f"<li>{html.escape(line)}</li>" for line in s["assumptions"])
    body = f"""<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>{html.escape(s["name"])}</title><style>{_STYLE}</style>
<h1>{html.escape(s["name"])}</h1>
<p class=sub>{s["days"]:g} days of {html.escape(s["world"])}, run on {html.escape(s["ran_on"])};
energy as on {html.escape(s["board"])} with {html.escape(s["runtime"])}</p>
{_cards(s)}
<img alt="signal, uplinks, energy and battery life" src="data:image/png;base64,{picture}">
<h2>Events</h2>{_table(events) if events else "<p>This node decides nothing to hold against truth.</p>"}
<h2>Energy by cause</h2>{_table(energy)}
<h2>The node's own counters</h2>{_table(run)}
<h2>What the figures rest on</h2><ul>{assumed}</ul>
</html>
"""
    path.write_text(body, encoding="utf-8")
