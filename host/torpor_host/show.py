# SPDX-License-Identifier: MIT
"""How results look as text on a terminal: data in, lines out; nothing is computed here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns as wide as their widest cell, numbers to the right; the keys of the first row are the heads."""
    if not rows:
        return ""
    heads = list(rows[0])
    cells = [[_cell(row.get(h)) for h in heads] for row in rows]
    widths = [max(len(h), *(len(c[i]) for c in cells)) for i, h in enumerate(heads)]
    right = [all(isinstance(row.get(h), (int, float)) for row in rows) for h in heads]
    lines = [heads, *cells]
    return "\n".join(
        "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def pairs(items: Sequence[tuple[str, str]]) -> str:
    width = max(len(k) for k, _ in items)
    return "\n".join(f"{k.ljust(width)}  {v}" for k, v in items)


def project(project: Any) -> str:
    s = project.summary()
    items = [("node", f"{s['name']} on {s['board']} ({s['runtime']})")]
    if s["model"]:
        m = s["model"]
        items.append(
            (
                "model",
                f"{m['name']}: {m['flash_bytes']:,} B flash, {m['peak_ram_bytes']:,} B RAM, "
                f"{m['macs']:,} MACs",
            )
        )
    items.append(
        ("sends", f"{', '.join(s['fields'])} over {s['link']}, {'encrypted' if s['encrypt'] else 'in clear'}")
    )
    items.append(("state", f"{s['state_bytes']} B kept in deep sleep"))
    notes = [f"note: {line}" for line in s["warnings"]]
    return "\n".join([pairs(items), *notes, "no problem found"])


def _scaled(tensor: Mapping[str, Any]) -> str:
    if tensor["scale"] is None:
        return ""
    return f" scale {tensor['scale']:g} zero point {tensor['zero_point']}"


def compiled(report: Mapping[str, Any], path: Path) -> str:
    peak = report["peak_layer"]
    at = f", at layer {peak['index']} {peak['name']}" if peak else ""
    items = [
        ("image", f"{path}, {report['flash_bytes']:,} B ({report['weights_bytes']:,} B weights)"),
        (
            "arena",
            f"{report['arena_bytes']:,} B (no plan can do with less than {report['lower_bound_bytes']:,} B)",
        ),
        ("peak RAM", f"{report['peak_ram_bytes']:,} B without weights{at}"),
        ("weights", "RAM " + ", ".join(f"{k} {n:,} B" for k, n in report["weights_ram_bytes"].items())),
        ("MACs", f"{report['macs']:,}"),
    ]
    if report["patches"]:
        p = report["patches"]
        items.append(
            (
                "patches",
                f"layers {p['first_layer']} to {p['last_layer']} in {p['bands']} bands of {p['rows']} rows: "
                f"{p['extra_macs']:,} more MACs (+{p['extra_percent']:g} %)",
            )
        )
    for word, tensors in (("input", report["inputs"]), ("output", report["outputs"])):
        for t in tensors:
            items.append((word, f"{t['dtype']} {t['shape']}{_scaled(t)}"))
    fits = [
        {
            "board": name,
            "fits": "yes"
            if not problems
            else "; ".join(
                f"no: {p['region']} {p['need_bytes']:,} of {p['have_bytes']:,} B" for p in problems
            ),
        }
        for name, problems in report["fits"].items()
    ]
    operators = [{"#": o["index"], "operator": o["name"], "MACs": o["macs"]} for o in report["operators"]]
    return f"{pairs(items)}\n\n{table(operators)}\n\n{table(fits)}"


def manifest(manifest: Any) -> str:
    m = manifest.as_dict()
    rows = [{"file": f["path"], "bytes": f["bytes"], "sha256": f["sha256"][:12]} for f in m["files"]]
    total = sum(f["bytes"] for f in m["files"])
    return f"{m['name']} for {m['board']} ({m['runtime']}), {total:,} B in {len(rows)} files\n{table(rows)}"


def installed(result: Any, name: str, port: str) -> str:
    code = f", machine code of {result.architecture}" if result.kernels in ("native", "viper") else ""
    lines = [
        f"{name}.tpm is on {port}, {len(result.sent)} files sent ({result.bytes_sent:,} B), "
        f"{len(result.unchanged)} unchanged; {result.kernels} kernels{code}",
        "there: from torpor.nn.model import load",
        f'       model = load("{name}.tpm")    # write model.input, call model.run(), read model.output',
    ]
    return "\n".join([*lines, *(f"note: {line}" for line in result.warnings)])


def deployed(result: Any, port: str) -> str:
    return (
        f"{port}: {len(result.sent)} files sent ({result.bytes_sent:,} B), "
        f"{len(result.unchanged)} unchanged, {len(result.removed)} removed"
        + "".join(f"\nnote: {line}" for line in result.warnings)
    )


def wake(path: Mapping[str, Any]) -> str:
    rows = [{"module": m["module"], "bytes": m["bytes"]} for m in path["modules"]]
    later = [{"module": m["module"], "bytes": m["bytes"]} for m in path["later"]]
    return (
        f"before the first trigger decision: {len(rows)} modules, {path['bytes']:,} B of code, "
        f"{path['heap_bytes']:,} B of heap\n{table(rows)}\n\n"
        f"only when a trigger fires or a frame is due: {len(later)} modules, {path['later_bytes']:,} B\n"
        f"{table(later)}"
    )


def memory_peak(layout: Mapping[str, Any]) -> str:
    peak = layout["peak"]
    return f"arena {layout['arena_bytes']:,} B; most in use {peak['live_bytes']:,} B, at {peak['operator']}"


def memory(layout: Mapping[str, Any]) -> str:
    """`torpor inspect --memory`: what lies where and when, then how much of it at once."""
    tensors = [
        {
            "tensor": " ".join([t["kind"], t["dtype"], "x".join(map(str, t["shape"]))]).strip(),
            "at": t["at"],
            "bytes": t["size_bytes"],
            "from": t["from"],
            "to": t["to"],
        }
        for t in layout["tensors"]
    ]
    moments = [
        {
            "operator": m["operator"],
            "live bytes": m["live_bytes"],
            "up to": m["top_bytes"],
            "": "peak" if m["moment"] == layout["peak"]["moment"] else "",
        }
        for m in layout["moments"]
    ]
    return f"{layout['name']}: {memory_peak(layout)}\n\n{table(tensors)}\n\n{table(moments)}"


def _reading(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def frame(frame: Mapping[str, Any]) -> str:
    when = datetime.fromtimestamp(frame["time_s"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    values = "  ".join(f"{r['quantity']} {_reading(r['value'])}{r['unit']}" for r in frame["readings"])
    return f"{when}  {frame['node']}  {values}"


def summary(s: Mapping[str, Any]) -> str:
    """The end of `torpor run`: what happened, against truth and against sending everything."""
    up, energy, battery = s["uplinks"], s["energy"], s["battery"]
    days = f"{s['days']:g} days of {s['world']} on {s['ran_on']}"
    counters = s["counters"]
    items = [("ran", f"{days}: {counters['wakes']:,} wakes, model run {counters['inferences']:,} times")]
    for name in ("faults", "sensor_failures", "failed_uplinks"):
        if counters[name]:
            items.append((name.replace("_", " "), f"{counters[name]:,} on {counters['wakes']:,} wakes"))
    if s.get("events"):
        e = s["events"]
        items.append(
            (
                "events",
                f"{e['caught']} of {e['events']} caught ahead, by {e['mean_lead_h']:.1f} h on average; "
                f"{e['late']} late, {e['missed']} missed; {e['false_alarms']} of {e['alarms']} alarms false",
            )
        )
    items += [
        (
            "uplinks",
            f"{up['total']:,} ({up['heartbeats']:,} heartbeats, {up['alarms']:,} on or off) against "
            f"{up['periodic']:,} every 30 min: {up['saved_percent']:.1f} % fewer",
        ),
        (
            "energy",
            f"{energy['total_uj'] / 1e6:,.1f} J, {energy['average_uw']:.1f} uW on average on {s['board']}: "
            + ", ".join(
                f"{c} {100 * uj / energy['total_uj']:.1f} %"
                for c, uj in sorted(energy["by_cause_uj"].items(), key=lambda i: -i[1])[:4]
            ),
        ),
        (
            "battery",
            f"{battery['name']}: {battery['life_days'] / 365.25:.1f} years "
            f"({battery['life_low_days'] / 365.25:.1f} to {battery['life_high_days'] / 365.25:.1f})",
        ),
        (
            "deployed",
            f"{s['deploy']['sent']} files sent ({s['deploy']['bytes_sent']:,} B), "
            f"{s['deploy']['unchanged']} unchanged",
        ),
        ("report", f"{s['report_html']}, {s['report_png']}"),
    ]
    return pairs(items)
