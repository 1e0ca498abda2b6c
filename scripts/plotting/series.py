"""What each plot shows: numbers taken out of results. Nothing here draws.

A function of PLOTS takes the results by figure and gives what its namesake in drawing.py takes, or
nothing where no result has it. A field that an older run did not store leaves its point out.
"""

IMAGES = ("icewm", "xfce")
PROFILES = ("stock", "off", "dense", "mix")

# Figures whose runs ramp up in steps.
RAMPS = tuple(f"density.{image}.{profile}.marginal_mib" for image in IMAGES for profile in PROFILES
              if (image, profile) != ("icewm", "stock"))
COUNTS = tuple(f"density.{image}.mix.count" for image in IMAGES)
TYPED = tuple(f"density.{image}.mix.marginal_mib" for image in IMAGES) + COUNTS + (
    "panald.cpu_percent_400",)
KSM = ("ksm.profit_ratio", "ksm.cpu_ratio", "ksm.speedup")
RECONNECT = "shave.reconnect_added_p99_ms"
RESIDENT = "shave.resident_ratio"


def number(value):
    """The number, or None for anything else."""
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def dig(value, *path):
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def steps_of(result):
    steps = result.details.get("steps")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def runs(results, figures):
    """Those of the figures that are stored, one for each run: the figures of a mix are of one run,
    and have its steps in common."""
    drawn = []
    for figure in figures:
        if figure not in results:
            continue
        steps = steps_of(results[figure])
        if figure in TYPED:
            if steps and steps in drawn:
                continue
            drawn.append(steps)
        yield figure


def short(figure):
    """ "density.xfce.dense.marginal_mib" is "xfce dense"."""
    words = figure.split(".")
    words = words[1:] if words[0] == "density" else words
    return " ".join(word for word in words if word != "marginal_mib")


def marginal(results):
    """[(image, profile, MiB, target or None)]"""
    bars = []
    for figure in RAMPS:
        if figure in results:
            _, image, profile, _ = figure.split(".")
            found = results[figure]
            bars.append((image, profile, found.value, found.target[1] if found.target else None))
    return bars


def memory(results):
    """[(label, [(desktops, MiB taken)])]: of the host, less what the load generator took. Nobody
    measured no desktop at all: the slope of the steps says what the first ones took."""
    lines = []
    for figure in runs(results, RAMPS + COUNTS):
        points = []
        for step in steps_of(results[figure]):
            count, available, load = (number(step.get(key)) for key in
                                      ("count", "mem_available_mib", "load_mib"))
            if None not in (count, available, load):
                points.append((count, available + load))
        slope = number(results[figure].details.get("marginal_mib"))
        if len(points) < 2 or slope is None:
            continue
        empty = points[0][1] + points[0][0] * slope
        lines.append((short(figure), [(count, empty - left) for count, left in points]))
    return lines


def typing(results):
    """[(label, [(desktops, p50, p99)])], ms from key to picture."""
    lines = []
    for figure in runs(results, TYPED):
        points = []
        for step in steps_of(results[figure]):
            row = (number(step.get("count")), number(dig(step, "typing", "p50_ms")),
                   number(dig(step, "typing", "p99_ms")))
            if None not in row:
                points.append(row)
        if points:
            lines.append((short(figure), points))
    return lines


def numbers_of(text):
    """A course's line of whole numbers; what is none ends it."""
    numbers = []
    for word in str(text).split():
        try:
            numbers.append(float(word))
        except ValueError:
            break
    return numbers


def ksm(results):
    """[(law, [(seconds, MiB won)])] of the newest comparison; the last desktop ran at 0 s."""
    runs = [results[figure] for figure in KSM
            if figure in results and isinstance(results[figure].details.get("arms"), dict)]
    if not runs:
        return []
    newest = max(runs, key=lambda run: run.date)
    courses = []
    for law, arm in sorted(newest.details["arms"].items()):
        points = list(zip(numbers_of(dig(arm, "course", "seconds") or ""),
                          numbers_of(dig(arm, "course", "profit_mib") or "")))
        if points:
            courses.append((law, points))
    return courses


def reconnect(results):
    """([(treatment, sorted ms until the first picture)], [(away seconds, PSS before, after)])"""
    times = []
    if RECONNECT in results:
        by_treatment = dig(results[RECONNECT].details, "first_picture_ms")
        for treatment, values in sorted((by_treatment or {}).items()):
            tries = [number(one) for one in dig(values, "all") or ()]
            if tries and None not in tries:
                times.append((treatment, sorted(tries)))
    rounds = []
    for figure in (RECONNECT, RESIDENT):
        for one in (results[figure].details.get("resident") or ()) if figure in results else ():
            row = tuple(number(dig(one, key)) for key in
                        ("away_seconds", "pss_before_mib", "pss_after_mib"))
            if None not in row:
                rounds.append(row)
    return (times, sorted(rounds)) if times or rounds else []


def figures(results):
    """[(figure, share of its target, words)]: below 1 is good; the other way round where more is
    better. A target of 0 has no shares."""
    bars = []
    for name, result in sorted(results.items()):
        if not result.target or result.target[1] <= 0:
            continue
        kind, target = result.target
        if kind == "at_least" and result.value <= 0:
            continue
        share = result.value / target if kind == "at_most" else target / result.value
        sign = "≤" if kind == "at_most" else "≥"
        words = f"{result.value:.3g} {result.unit} (target {sign} {target:g})"
        bars.append((name, max(share, 0.001), words if result.quiet else words + ", busy"))
    return bars


# Name of the file, what it shows, the figures it wants.
PLOTS = (
    ("marginal", marginal, RAMPS),
    ("memory", memory, RAMPS + COUNTS),
    ("typing", typing, TYPED),
    ("ksm", ksm, KSM[:1]),  # one run measures all three
    ("reconnect", reconnect, (RECONNECT, RESIDENT)),
    ("figures", figures, ()),
)


def missing(results):
    """{figure: [plots that want it]} of what is not there."""
    out = {}
    for plot, _, wanted in PLOTS:
        for figure in wanted:
            if figure not in results:
                out.setdefault(figure, []).append(plot)
    return out
