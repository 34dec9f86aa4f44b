"""Pictures: what the verbs draw, what they tell, and the files that they become."""

import hashlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from scipy import stats

from dlclaims import figures, results
from dlclaims.figures import calibration, style, verbs
from dlclaims.pages import Figure, tidy

SEEDS = range(6)
DARK = "#14181d"  # the report's page in dark mode


def axes() -> Axes:
    return Picture(layout="constrained").add_subplot()


def lines() -> pd.DataFrame:
    """Return two variants over three layers: relu at 0, sigmoid loses 2 a layer."""
    parts = []
    for name, slope in (("relu", 0.0), ("sigmoid", -2.0)):
        for source, seeds, noise in (
            ("measured", SEEDS, np.array([-3, -2, -1, 1, 2, 3])[:, None]),
            ("theory", [np.nan], np.zeros((1, 1))),
        ):
            values = slope * np.arange(3) + noise
            rows = tidy({"seed": seeds, "layer": (1, 2, 3)}, value=values)
            parts.append(
                rows.assign(source=source, study="s", variant=name, activation=name)
            )
    return pd.concat(parts, ignore_index=True)


def scores() -> pd.DataFrame:
    """Return accuracies at two depths; at depth 20 seed 0 diverged without a value."""
    rows = tidy(
        {"depth": (5, 20), "seed": SEEDS},
        accuracy=np.array([[0.5], [0.25]]),
        status="ok",
    )
    lost = (rows["depth"] == 20) & (rows["seed"] == 0)
    rows.loc[lost, "status"] = "diverged"
    rows.loc[lost, "accuracy"] = np.nan
    return rows.assign(
        source="measured", variant="plain-" + rows["depth"].astype(str), network="plain"
    )


def draw_lines(table: pd.DataFrame, ax: Axes) -> None:
    figures.profile(table, ax, x="layer", y="value", hue="activation")
    figures.region(ax, -1.0, math.inf)


def figure(title: str = "Sigmoid falls") -> Figure:
    return Figure("lines", "s", title, draw_lines, "Each line is a seed.")


def test_the_interval_is_students() -> None:
    values = np.random.default_rng(0).normal(size=(7, 3))
    mean, low, high = verbs.interval(values)
    expected = stats.t.interval(0.95, 6, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose((low, high), expected, rtol=1e-12)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)


def test_the_interval_leaves_missing_values_out_and_needs_two() -> None:
    nan = np.nan
    mean, low, high = verbs.interval(np.array([[1.0, 4.0, nan], [3.0, nan, nan]]))
    np.testing.assert_array_equal(mean, [2.0, 4.0, nan])
    assert low[0] < 2.0 < high[0]
    assert np.isnan([low[1:], high[1:]]).all()


def test_a_name_keeps_its_look_in_a_picture_and_its_colour_between_pictures() -> None:
    first, second = axes(), axes()
    names = ["xavier", "mine", "He", "yours", "theirs", "ours"]
    looks = {name: figures.look(first, name) for name in names}
    assert {name: figures.look(first, name) for name in reversed(names)} == looks
    assert figures.look(second, "he").color == looks["He"].color
    assert len({look.color for look in list(looks.values())[:5]}) == 5
    assert len({(look.color, look.marker) for look in looks.values()}) == len(names)
    assert len({look.marker for look in looks.values()}) == len(names)
    assert {look.line for look in looks.values()} == {"-", "-."}


@pytest.mark.parametrize("paper", ["#ffffff", DARK])
@pytest.mark.parametrize("color", style.COLORS)
def test_colours_stand_out_on_white_and_on_dark(color: str, paper: str) -> None:
    def luminance(name: str) -> float:
        rgb = np.array(mpl.colors.to_rgb(name))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(color), luminance(paper)))
    assert (light + 0.05) / (dark + 0.05) >= 3.0  # WCAG 2.2, 1.4.11


def test_a_profile_shows_every_seed_the_mean_and_dashed_theory() -> None:
    ax = axes()
    figures.profile(lines(), ax, x="layer", y="value", hue="activation")
    strands, mean, theory = ax.lines[3:6]  # of the sigmoid
    y = np.asarray(strands.get_ydata(), float)
    assert np.isnan(y).sum() == len(SEEDS)  # the pen is lifted after each seed
    assert list(y.reshape(len(SEEDS), 4)[:, 2] + 4) == [-3, -2, -1, 1, 2, 3]
    np.testing.assert_allclose(mean.get_ydata(), [0, -2, -4], atol=1e-12)
    np.testing.assert_allclose(theory.get_ydata(), [0, -2, -4])
    assert [line.is_dashed() for line in (strands, mean, theory)] == [
        False,
        False,
        True,
    ]
    assert len(ax.collections) == 2  # a band for each mean


def test_dots_show_every_seed_and_diverged_ones_as_crosses() -> None:
    ax = axes()
    figures.dots(scores(), ax, x="depth", y="accuracy", hue="network")
    shown = {
        marker: sum(
            len(line.get_xdata()) for line in ax.lines if line.get_marker() == sign
        )
        for marker, sign in (("dot", "o"), ("cross", "x"))
    }
    means = [line for line in ax.lines if line.get_markersize() == 6.5]
    assert shown == {"dot": 11 + len(means), "cross": 1}
    assert [float(line.get_ydata()[0]) for line in means] == [0.5, 0.25]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "20"]


@pytest.mark.parametrize(("hue", "places"), [("arm", [0, 1]), ("kind", [-0.2, 1.2])])
def test_arms_stand_beside_each_other_unless_they_are_the_levels(
    hue: str, places: list[float]
) -> None:
    rows = tidy({"arm": ("a", "b"), "seed": SEEDS}, accuracy=np.ones((2, 1)))
    kinds = rows["arm"].map({"a": "x", "b": "y"})
    table = rows.assign(source="measured", variant=rows["arm"], kind=kinds)
    ax = axes()
    figures.dots(table, ax, x="arm", y="accuracy", hue=hue)
    means = [line for line in ax.lines if line.get_markersize() == 6.5]
    assert [float(line.get_xdata()[0]) for line in means] == pytest.approx(places)


def test_a_diagonal_tells_how_far_the_points_lie_off_it() -> None:
    table = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [0.0, 1.25, 2.0], "k": "x"})
    ax = axes()
    figures.diagonal(table, ax, x="a", y="b", hue="k")
    [(_, words)] = style.notes(ax).words
    assert "3 points from 0 to 2" in words
    assert "0 away from a in the median, 0.25 at most" in words


def test_an_open_region_ends_where_the_axes_ends() -> None:
    ax = axes()
    ax.set_ylim(-3, 5)
    figures.region(ax, 1.0, math.inf)
    box = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (round(box.y0, 9), round(box.y1, 9)) == (1.0, 5.0)


def test_panels_share_their_y_axis_and_go_to_a_second_row() -> None:
    ax = axes()
    made = figures.panels(ax, list("abcde"))
    assert [panel.get_title() for panel in made.values()] == list("abcde")
    made["a"].set_ylim(2, 3)
    assert {panel.get_ylim() for panel in made.values()} == {(2, 3)}
    assert not ax.axison
    rows = {panel.get_subplotspec().rowspan.start for panel in made.values()}
    assert rows == {0, 1}


def test_panels_under_each_other_may_share_their_x_axis_alone() -> None:
    made = figures.panels(axes(), ["error", "gradient"], columns=1, same="x")
    made["error"].set(xlim=(0, 9), ylim=(2, 3))
    assert {panel.get_xlim() for panel in made.values()} == {(0, 9)}
    assert made["gradient"].get_ylim() != (2, 3)


def test_the_alt_text_tells_title_seeds_means_and_theory() -> None:
    assert figures.alt_text(figure(), lines()) == (
        "Sigmoid falls. value at layer 3, means of 6 seeds:"
        " relu 0 (theory 0), sigmoid \u22124 (theory \u22124)."
    )


def test_a_table_without_rows_is_a_picture_that_says_so() -> None:
    picture, alt = figures.draw(figure(), lines().iloc[:0])
    assert [text.get_text() for text in picture.axes[0].texts] == [
        "no outcomes under this profile"
    ]
    assert alt == "Sigmoid falls. Drawn from 0 rows and 0 seeds."


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    figures.draw(figure(), lines())
    assert dict(mpl.rcParams) == before


def test_the_same_table_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        figures.save(figure(), lines(), tmp_path / name)
    for end in ("csv", "svg", "png"):
        one, two = (tmp_path / name / f"lines.{end}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_csv_holds_the_table_to_the_last_bit(tmp_path: Path) -> None:
    table = lines().assign(value=lambda t: t["value"] / 3)
    figures.save(figure(), table, tmp_path)
    found = results.read_table(tmp_path / "lines.csv")
    pd.testing.assert_frame_equal(found, table, check_dtype=False, check_exact=True)


def test_the_svg_is_small_safe_and_tells_what_it_shows(tmp_path: Path) -> None:
    hostile = 'a <script>alert("1")</script> & b'
    figures.save(figure(hostile), lines(), tmp_path)
    text = (tmp_path / "lines.svg").read_text()
    root = ElementTree.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not names & {"script", "metadata", "style"}
    assert not re.search(r'style="|on\w+="|matplotlib|<!DOCTYPE|xlink', text)
    assert root[0].text == hostile
    assert root[1].text == figures.alt_text(figure(hostile), lines())
    table = hashlib.sha256((tmp_path / "lines.csv").read_bytes()).hexdigest()
    assert root.get("data-table") == table
    assert {e.text for e in root.iter() if e.tag.endswith("}text")} >= {"relu", "layer"}
    assert len(text) < 20_000


def test_every_reference_in_an_svg_finds_its_element(tmp_path: Path) -> None:
    figures.save(figure(), lines(), tmp_path)
    text = (tmp_path / "lines.svg").read_text()
    ids = re.findall(r'\bid="([^"]+)"', text)
    wanted = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)}
    assert len(ids) == len(set(ids))
    assert wanted == set(ids) - {"background"}


DRAWING = """
import sys
import pandas as pd
from pathlib import Path
from dlclaims import figures
from dlclaims.pages import Figure

def draw(table, ax):
    figures.profile(table, ax, x="layer", y="value", hue="arm")

rows = [
    ("measured", arm, seed, layer, layer * rate + seed)
    for arm, rate in (("a", 1.0), ("b", 2.0))
    for seed in range(4)
    for layer in range(1, 9)
]
table = pd.DataFrame(rows, columns=["source", "arm", "seed", "layer", "value"])
table["variant"] = table["arm"]
figures.save(Figure("f", "s", "T", draw, "R"), table, Path(sys.argv[1]))
"""


def test_a_picture_has_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    written = set()
    for seed in ("1", "2", "3"):
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", DRAWING, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        written.add((folder / "f.svg").read_bytes())
    assert len(written) == 1


# The calibration's picture.

FAMILIES = [
    {
        "family": family,
        "scale": scale,
        "gated": limit is not None,
        "simulated": 2500,
        "false_supported": 0.02,
        "false_refuted": refuted,
        "limit": limit,
    }
    for family, scale, refuted, limit in (
        ("skewed", "raw", 0.36, None),
        ("normal", "difference", 0.01, 0.03),
    )
]
POWERS = [
    {"seeds": 8, "simulated": 2500, "supported": 0.3, "limit": None},
    {"seeds": 16, "simulated": 2500, "supported": 0.9, "limit": 0.85},
]


def twins() -> pd.DataFrame:
    """Return A/A claims above and below an edge, and one on two equal networks."""
    return pd.DataFrame(
        {
            "value": [3.0, -1.0, 0.0, -2.0],
            "low": [1.0, -1.5, 0.0, -4.0],
            "high": [5.0, -0.5, 0.0, 0.0],
            "region_low": [0.0, np.nan, 0.5, -3.0],
            "verdict_at_zero": ["supported"] * 2 + ["inconclusive"] * 2,
        }
    )


def calibrated(rows: pd.DataFrame) -> tuple[dict[str, Axes], str]:
    """Return the panels by their titles, and the words."""
    nulls, powers = pd.DataFrame(FAMILIES), pd.DataFrame(POWERS)
    table = calibration.table(nulls, powers, rows)
    picture, alt = figures.draw(calibration.FIGURE, table)
    return {ax.get_title(): ax for ax in picture.axes if ax.get_title()}, alt


def test_rates_are_per_cent_with_three_standard_errors_and_gated_ones_are_full() -> (
    None
):
    panel = calibrated(twins())[0]["On the edge"]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels == ["normal, difference", "skewed, raw"]
    found = {}
    for bars in panel.containers:
        mark, _, (bar,) = bars.lines
        for (x, y), ends in zip(mark.get_xydata(), bar.get_segments(), strict=True):
            found[round(float(y), 2)] = x, *ends[:, 0], mark.get_markerfacecolor()
    error = 300 * math.sqrt(0.36 * 0.64 / 2500)
    places = sorted(found)
    assert places == [-0.16, 0.16, 1.34, 1.66]
    assert [found[place][0] for place in places] == pytest.approx([2, 1, 2, 36])
    assert found[places[3]][1:3] == pytest.approx((36 - error, 36 + error))
    assert [found[place][3] == "none" for place in places] == [False, False, True, True]
    assert panel.lines[-1].get_xdata()[0] == pytest.approx(3)


def test_power_stands_beside_what_is_required() -> None:
    panel = calibrated(twins())[0]["True by 1 s.d."]
    curve, gate = panel.lines[0], panel.lines[-1]
    np.testing.assert_allclose(curve.get_xydata(), [[8, 30], [16, 90]])
    np.testing.assert_allclose(gate.get_ydata(), [85, 85])
    assert np.mean(gate.get_xdata()) == 16


def test_twins_are_in_half_widths_and_the_claims_direction_is_right() -> None:
    panel = calibrated(twins())[0]["One network twice"]
    bars = np.array([s for lines in panel.collections for s in lines.get_segments()])
    np.testing.assert_allclose(
        sorted(map(tuple, bars[:, :, 0])), [(0, 0), (0, 2), (0.5, 2.5), (1, 3)]
    )
    low, high = panel.get_xlim()
    assert low == -high < -3


def test_a_calibration_tells_its_numbers_and_lives_without_twins() -> None:
    _, alt = calibrated(twins())
    assert alt == (
        "How often the verdicts err. On the edge: gated families of noise: 1, at"
        " most 2 % called supported and at most 1 % called refuted, limit 3 %. True by"
        " 1 s.d.: supported 30 % with 8 seeds, 90 % with 16 seeds. One network twice: 4"
        " comparisons, judged at zero: 2 called supported, 0 called refuted."
    )
    panels, _ = calibrated(twins().iloc[:0])
    assert "One network twice" not in panels


def test_a_calibration_is_saved_as_figures_are(tmp_path: Path) -> None:
    made = {"nulls": FAMILIES, "powers": POWERS}
    calibration.save(made, twins(), tmp_path)
    table = results.read_table(tmp_path / "calibration.csv")
    assert list(table["panel"]) == ["nulls"] * 2 + ["powers"] * 2 + ["twins"] * 4
    text = (tmp_path / "calibration.svg").read_text()
    digest = hashlib.sha256((tmp_path / "calibration.csv").read_bytes()).hexdigest()
    assert f'data-table="{digest}"' in text
    assert figures.alt_text(calibration.FIGURE, table) in text
