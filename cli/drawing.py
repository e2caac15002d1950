"""Drawing: panels of lines over a logarithmic axis or a row of names, as SVG for light and dark."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, PANEL_HEIGHT, LEGEND_LINE = 760, 300, 20
LEFT, RIGHT, TOP, BOTTOM = 80, 44, 40, 48
TICKS_MAX = 6
NAMES_MAX = 12
"""How many names stand below a panel at most; of more, some are left out."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 12px; fill: #59636e }
.grid { stroke: #d1d9e0 }
.axis { stroke: #818b98 }
path { fill: none; stroke-width: 2.5 }
.s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #8250df; fill: #8250df }
.s2 { stroke: #bc4c00; fill: #bc4c00 } .s3 { stroke: #1a7f37; fill: #1a7f37 }
path.s0, path.s1, path.s2, path.s3 { fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 }
  .grid { stroke: #3d444d } .axis { stroke: #656c76 }
  .s0 { stroke: #4493f8; fill: #4493f8 } .s1 { stroke: #ab7df8; fill: #ab7df8 }
  .s2 { stroke: #f0883e; fill: #f0883e } .s3 { stroke: #3fb950; fill: #3fb950 }
}
"""
COLOURS = 4


@dataclass(frozen=True)
class Series:
    """A line: its name, and its points from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """What runs from left to right: logarithmic, or one of these names for each 0, 1, 2 …"""

    title: str
    names: Sequence[str] = ()

    def place(self, x: float) -> float:
        return x if self.names else log10(x)

    def marks(self, xs: Iterable[float]) -> Iterator[tuple[float, str]]:
        """What is written below which of these values."""
        every = -(-len(self.names) // NAMES_MAX)
        for x in sorted(set(xs)):
            if not self.names:
                yield x, f"{x:,.0f}"
            elif x % every == 0:
                yield x, self.names[int(x)]


@dataclass(frozen=True)
class Panel:
    """A plot with a title; its lines start from 0, in this unit."""

    title: str
    unit: str
    series: Sequence[Series]


def drawn(panels: Sequence[Panel], across: Axis, remark: str) -> str:
    """The panels one below the other, with what their common axis is, a legend and a remark."""
    names = [series.name for series in panels[0].series]
    legend_at = len(panels) * PANEL_HEIGHT
    height = legend_at + LEGEND_LINE * (len(names) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f"<style>{STYLE}</style>",
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate(0 {number * PANEL_HEIGHT})">']
        parts += [*_plot(panel, across), "</g>"]
    for number, name in enumerate(names):
        y = legend_at + LEGEND_LINE * (number + 1)
        parts.append(_line(LEFT, y - 4, LEFT + 24, y - 4, f"s{number % COLOURS}", 3))
        parts.append(_text(LEFT + 34, y, name))
    parts.append(_text(LEFT, height - LEGEND_LINE // 2, remark, "small"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _plot(panel: Panel, across: Axis) -> list[str]:
    xs = [x for series in panel.series for x, _ in series.points]
    ys = [y for series in panel.series for _, y in series.points]
    low, high = across.place(min(xs)), across.place(max(xs))
    step = tick_step(max(*ys, -min(ys), 1 / TICKS_MAX))
    bottom, top = floor(min(0, *ys) / step), max(1, ceil(max(ys) / step))

    def at(x: float, y: float) -> tuple[float, float]:
        share = (across.place(x) - low) / (high - low) if high > low else 0.5
        up = (y / step - bottom) / (top - bottom) * (PANEL_HEIGHT - TOP - BOTTOM)
        return LEFT + share * (WIDTH - LEFT - RIGHT), PANEL_HEIGHT - BOTTOM - up

    parts = [_text(LEFT, TOP - 18, panel.title, "title")]
    parts.append(_text(WIDTH - RIGHT, TOP - 18, panel.unit, "small", "end"))
    for count in range(bottom, top + 1):
        y = at(min(xs), count * step)[1]
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "grid" if count else "axis", 1))
        parts.append(_text(LEFT - 8, y + 4, f"{count * step:,.0f}", "small", "end"))
    for x, words in across.marks(xs):
        parts.append(_text(at(x, 0)[0], PANEL_HEIGHT - BOTTOM + 18, words, "small", "middle"))
    parts.append(_text(WIDTH - RIGHT, PANEL_HEIGHT - 10, across.title, "small", "end"))
    for number, series in enumerate(panel.series):
        places = [at(x, y) for x, y in series.points]
        way = " L ".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="s{number % COLOURS}" d="M {way}"/>')
        parts += [f'<circle class="s{number % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
                  for x, y in places]  # fmt: skip
    return parts


def tick_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, so that a few of them reach the highest value."""
    rough = highest / TICKS_MAX
    power: float = 10.0 ** floor(log10(rough))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= rough)


def _line(x: float, y: float, to_x: float, to_y: float, kind: str, width: int) -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line class="{kind}" {ends} stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(words)}</text>'
