"""Draws what series.py chose, as SVG: the same numbers give the same bytes."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 - the backend first

COLOURS = {"stock": "#999999", "off": "#e69f00", "dense": "#0072b2", "mix": "#009e73",
           "pass": "#009e73", "fail": "#d55e00", "target": "#cc0000"}
SETTINGS = {
    "svg.hashsalt": "panal",  # ids of clip paths are random otherwise
    "svg.fonttype": "none",   # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(figure, file):
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def axes_of(width=7.0, height=4.0, columns=1):
    return pyplot.subplots(1, columns, figsize=(width, height), squeeze=False)


def marginal(bars):
    figure, ((axes,),) = axes_of()
    for place, (image, profile, mib, target) in enumerate(bars):
        axes.bar(place, mib, color=COLOURS[profile], width=0.7)
        axes.text(place, mib, f"{mib:.1f}", ha="center", va="bottom")
        if target is not None:
            axes.hlines(target, place - 0.45, place + 0.45, color=COLOURS["target"], lw=2)
    axes.set_xticks(range(len(bars)), [f"{image}\n{profile}" for image, profile, _, _ in bars])
    axes.set_ylabel("MiB for one more desktop (red: target)")
    axes.grid(axis="x", visible=False)
    return figure


def memory(lines):
    figure, ((axes,),) = axes_of()
    for label, points in lines:
        axes.plot(*zip(*points), marker="o", ms=3, label=label)
    axes.set_xlabel("desktops")
    axes.set_ylabel("MiB taken from the host, load generator left out")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def typing(lines):
    figure, ((axes,),) = axes_of()
    for number, (label, points) in enumerate(lines):
        counts, p50, p99 = zip(*points)
        axes.plot(counts, p99, color=f"C{number}", marker="o", ms=3, label=f"{label}, p99")
        axes.plot(counts, p50, color=f"C{number}", ls=":", marker="o", ms=3, label=f"{label}, p50")
    axes.axhline(100, color=COLOURS["target"], lw=1)
    axes.set_xlabel("desktops, 10 % of them typed into")
    axes.set_ylabel("ms from key to picture (red: 100)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def ksm(courses):
    figure, ((axes,),) = axes_of()
    for law, points in courses:
        axes.plot(*zip(*points), label=law, lw=2 if law == "governor" else 1)
    axes.axvline(0, color="#999999", lw=1)
    axes.set_xlabel("seconds since the last desktop had started")
    axes.set_ylabel("MiB won by merging (general_profit)")
    axes.legend()
    return figure


def reconnect(both):
    times, rounds = both
    figure, ((left, right),) = axes_of(width=9.0, columns=2)
    for treatment, tries in times:
        share = [(place + 1) / len(tries) for place in range(len(tries))]
        left.step(tries, share, where="post", label=f"{treatment} ({len(tries)} tries)")
    left.set_xlabel("ms until the first picture")
    left.set_ylabel("share of returns that had it by then")
    left.set_xlim(left=0)
    left.set_ylim(0, 1.02)
    if times:
        left.legend(loc="lower right")
    for place, (_, before, after) in enumerate(rounds):
        right.bar(place - 0.2, before, width=0.4, color=COLOURS["off"])
        right.bar(place + 0.2, after, width=0.4, color=COLOURS["mix"])
        right.text(place + 0.2, after, f"{after / before:.2f}" if before else "", ha="center",
                   va="bottom")
    right.set_xticks(range(len(rounds)), [f"{away:.0f} s" for away, _, _ in rounds])
    right.set_xlabel("away for")
    right.set_ylabel("PSS of a desktop before and after, MiB")
    right.grid(axis="x", visible=False)
    return figure


def figures(bars):
    figure, ((axes,),) = axes_of(width=9.0, height=1.0 + 0.3 * len(bars))
    for place, (_, share, words) in enumerate(reversed(bars)):
        axes.barh(place, share, color=COLOURS["pass" if share <= 1 else "fail"], height=0.6)
        axes.text(max(share, 0.01) * 1.05, place, words, va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.001, max(20.0, 10 * max(share for _, share, _ in bars)))
    axes.axvline(1, color=COLOURS["target"], lw=1)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in reversed(bars)])
    axes.set_xlabel("value / target, or target / value where more is better: left of 1 is good")
    axes.grid(axis="y", visible=False)
    return figure


def draw(name, data, file):
    """The plot of series.PLOTS by that name."""
    with matplotlib.rc_context(SETTINGS):
        save(globals()[name](data), file)
