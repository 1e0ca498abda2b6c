#!/usr/bin/env python3
"""scripts/plots: what it reads, what it chooses, and that the same numbers give the same bytes.

Where matplotlib is absent (scripts/setup plots) nothing is drawn, and that is said.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / "scripts"))
sys.dont_write_bytecode = True

from plotting import results, series  # noqa: E402 - found through the path above

# Debian's, which has Debian's modules; another one may come first in PATH.
PYTHON = "/usr/bin/python3"
HAS_MATPLOTLIB = subprocess.run(
    [PYTHON, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('matplotlib') is None)"],
    check=False).returncode == 0


def stored(figure, value, target="report", details=None, date="2026-11-26T00:00:00Z", quiet=True):
    """A file as bench/density/stored.cc prints it."""
    return {"figure": figure, "value": value, "unit": "MiB", "target": target, "verdict": "pass",
            "measured": {"date": date, "quiet": quiet, "trees": {}}, "details": details or {}}


def step(count, available, load, p50=None, p99=None):
    """A step of bench/density/hold.cc."""
    out = {"count": count, "mem_available_mib": available, "load_mib": load, "held_seconds": 60.0}
    if p50 is not None:
        out["typing"] = {"desktops": 4, "keys": 90, "lost": 0, "p50_ms": p50, "p99_ms": p99,
                         "max_ms": p99 + 1}
    return out


def mix(count=None):
    steps = [step(100, 20000, 100, 20, 40), step(200, 17900, 200, 22, 60.5),
             step(300, 15800, 300, 25, 120)]
    return {"marginal_mib": 20.0, "steps": steps, "desktops": count or 300}


def course(seconds, mib):
    """As bench/density/ksm_compare.cc writes it: a line for each value."""
    return {"course": {"seconds": seconds, "profit_mib": mib, "pages_sharing": "0", "cow_pages": "0",
                       "ksmd_cpu_ms": "0", "pages_per_ms": "100/20"}, "rss_mib": 1.0}


def shave():
    """As bench/density/reconnect.cc has it."""
    return {
        "first_picture_ms": {"spared": {"tries": 3, "p50": 200, "p99": 210, "max": 210,
                                        "all": [210, 190, 200]},
                             "recorded": {"tries": 2, "p50": 250, "p99": 300, "max": 300,
                                          "all": [300, 250]}},
        "accepted_ms": {},
        "resident": [{"away_seconds": 30, "pss_before_mib": 80, "pss_after_mib": 30, "ratio": 0.4},
                     {"away_seconds": 600, "pss_before_mib": 82, "pss_after_mib": 14,
                      "ratio": 0.17}],
    }


def everything():
    off = {"marginal_mib": 90.0, "steps": [step(4, 22000, 50), step(8, 21600, 90)]}
    return [
        stored("density.xfce.stock.marginal_mib", 111, details=off),
        stored("density.xfce.off.marginal_mib", 90, details=off),
        stored("density.xfce.dense.marginal_mib", 36.5, "<=40", off),
        stored("density.xfce.mix.marginal_mib", 27, "<=25", mix()),
        stored("density.xfce.mix.count", 200, ">=400", mix()),
        stored("density.icewm.off.marginal_mib", 38, details=off),
        stored("ksm.profit_ratio", 0.95, ">=0.9", {"arms": {
            "fixed": course("-5 0 5", "0 100 900"), "governor": course("-5 0", "0 500")}}),
        stored("ksm.cpu_ratio", 0.2, "<=0.33", {"arms": {"old": course("0", "1")}},
               date="2026-11-25T00:00:00Z"),
        stored("shave.reconnect_added_p99_ms", 90, "<=150", shave()),
        stored("hog.bystander", 0, "<=0"),
        stored("connect.running_p50_ms", 104, "<=150", quiet=False),
    ]


class Files(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.scratch.name)
        (self.root / "results").mkdir()

    def tearDown(self):
        self.scratch.cleanup()

    def put(self, files):
        for one in files:
            (self.root / "results" / f"{one['figure']}.json").write_text(json.dumps(one))

    def loaded(self, files):
        self.put(files)
        found, wrong = results.load(self.root / "results")
        self.assertEqual(wrong, [])
        return found

    def plots(self, *options):
        return subprocess.run(
            [PYTHON, str(SOURCE / "scripts/plots"), "--results",
             str(self.root / "results"), "--out", str(self.root / "out"), "--no-setup", *options],
            capture_output=True, text=True, check=False)


class Results(Files):
    def test_a_file_that_is_no_result_is_said_and_left_out(self):
        for number, text in enumerate(("", "[]", "{", '{"figure": 3, "value": 1}',
                                       '{"figure": "x"}', '{"figure": "x", "value": true}')):
            (self.root / "results" / f"{number}.json").write_text(text)
        self.put([stored("a.ms", 3, "<=5", quiet=False)])
        found, wrong = results.load(self.root / "results")
        self.assertEqual(len(wrong), 6)
        self.assertTrue(wrong[0].startswith("0.json: no JSON"))
        self.assertEqual(list(found), ["a.ms"])
        self.assertEqual(found["a.ms"].target, ("at_most", 5.0))
        self.assertFalse(found["a.ms"].quiet)

    def test_targets(self):
        self.assertEqual(results.target_of(">=0.9"), ("at_least", 0.9))
        for text in ("report", "", "<=", ">=many"):
            self.assertEqual(results.target_of(text), ())

    def test_the_stored_ones_are_all_good(self):
        found, wrong = results.load(SOURCE / "bench/results")
        self.assertEqual(wrong, [])
        for _, choose, _ in series.PLOTS:
            choose(found)


class Series(Files):
    def test_marginal_cost_with_its_targets(self):
        bars = series.marginal(self.loaded(everything()))
        self.assertIn(("xfce", "dense", 36.5, 40.0), bars)
        self.assertIn(("xfce", "stock", 111.0, None), bars)
        self.assertEqual(bars[0][:2], ("icewm", "off"))

    def test_memory_begins_at_nothing_for_no_desktop(self):
        lines = dict(series.memory(self.loaded(everything())))
        # 22050 are left with 4 desktops of 90 MiB, so 22410 would be with none.
        self.assertEqual(lines["xfce off"], [(4, 360.0), (8, 720.0)])
        self.assertEqual(lines["xfce mix"][0], (100, 2000.0))
        self.assertNotIn("xfce mix count", lines, "it is the same run")

    def test_typing_against_the_number_of_desktops(self):
        lines = dict(series.typing(self.loaded(everything())))
        self.assertEqual(lines["xfce mix"], [(100, 20, 40), (200, 22, 60.5), (300, 25, 120)])
        self.assertNotIn("xfce off", lines)

    def test_the_newest_comparison_of_laws(self):
        self.assertEqual(series.ksm(self.loaded(everything())), [
            ("fixed", [(-5, 0), (0, 100), (5, 900)]), ("governor", [(-5, 0), (0, 500)])])

    def test_returns_and_what_was_left(self):
        times, rounds = series.reconnect(self.loaded(everything()))
        self.assertEqual(times, [("recorded", [250, 300]), ("spared", [190, 200, 210])])
        self.assertEqual(rounds, [(30, 80, 30), (600, 82, 14)])

    def test_shares_of_targets(self):
        bars = {name: (share, words) for name, share, words in
                series.figures(self.loaded(everything()))}
        self.assertAlmostEqual(bars["density.xfce.mix.marginal_mib"][0], 27 / 25)
        self.assertAlmostEqual(bars["density.xfce.mix.count"][0], 2.0)
        self.assertIn("busy", bars["connect.running_p50_ms"][1])
        self.assertNotIn("hog.bystander", bars, "nothing is a share of 0")
        self.assertNotIn("density.xfce.off.marginal_mib", bars, "no target")

    def test_results_of_another_shape_leave_their_points_out(self):
        for details in ({}, {"steps": 7}, {"steps": [1, {"count": "x"}], "marginal_mib": 1},
                        {"steps": [step(1, 2, 3)]}, {"arms": 7}, {"arms": {"x": 1}},
                        {"first_picture_ms": {"a": {"all": [1, "x"]}}, "resident": [{}, 3]}):
            found = self.loaded([stored(name, 1, "<=2", details) for name in
                                 (*series.RAMPS, *series.COUNTS, *series.KSM, series.RECONNECT)])
            for _, choose, _ in series.PLOTS:
                choose(found)
            self.assertEqual(series.ksm(found), [])
            self.assertEqual(series.reconnect(found), [])

    def test_nothing_is_nothing_and_is_said(self):
        for _, choose, _ in series.PLOTS:
            self.assertFalse(choose({}))
        self.assertEqual(series.missing({})["density.xfce.mix.count"], ["memory", "typing"])
        self.assertEqual(series.missing({})["ksm.profit_ratio"], ["ksm"])
        self.assertNotIn("ksm.profit_ratio", series.missing(self.loaded(everything())))

    def test_the_names_are_figures_and_the_report_knows_the_plots(self):
        known = (SOURCE / "bench/density/figure.cc").read_text()
        for _, _, wanted in series.PLOTS:
            for figure in wanted:
                self.assertIn(f'"{figure}"', known)
        report = (SOURCE / "bench/density/report.cc").read_text()
        for name, _, _ in series.PLOTS:
            self.assertIn(f'{{"{name}"', report)


@unittest.skipUnless(HAS_MATPLOTLIB, "no matplotlib: scripts/setup plots")
class Drawing(Files):
    def test_what_there_is_is_drawn_and_the_same_numbers_give_the_same_bytes(self):
        self.put(everything())
        (self.root / "results/odd.json").write_text("{")
        first = self.plots()
        self.assertEqual(first.returncode, 1, "a broken file is told at the end")
        self.assertIn("left out odd.json: no JSON", first.stderr)
        self.assertIn("no result of density.icewm.dense.marginal_mib (marginal, memory)",
                      first.stdout)
        files = {file.name: file.read_bytes() for file in (self.root / "out").iterdir()}
        self.assertEqual(set(files), {f"{name}.svg" for name, _, _ in series.PLOTS})
        self.assertIn(b"governor", files["ksm.svg"])

        for file in (self.root / "results").glob("ksm.*"):
            file.unlink()
        (self.root / "results/odd.json").unlink()
        second = self.plots()
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("nothing to draw for ksm", second.stdout)
        self.assertFalse((self.root / "out/ksm.svg").exists(), "it would show what is gone")
        for name in ("marginal.svg", "memory.svg", "typing.svg", "reconnect.svg"):
            self.assertEqual((self.root / "out" / name).read_bytes(), files[name], name)
            self.assertNotIn(b"<dc:date>", files[name])


class Usage(Files):
    def test_a_directory_that_is_not_there(self):
        done = subprocess.run([PYTHON, str(SOURCE / "scripts/plots"), "--results",
                               str(self.root / "absent")], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no directory", done.stderr)


if __name__ == "__main__":
    unittest.main()
