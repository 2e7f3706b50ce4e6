"""``intsim demo``: the main job, whole (slow) and its wiring (fast)."""

import json

import pytest
from command_line import intsim, listing

from hdl.flow import report
from intsim import Fixed, catalogue
from intsim.tables import NLI


@pytest.mark.full
def test_the_main_job(tmp_path):
    result = intsim("demo", "-o", tmp_path / "demo", "--json")
    assert result.code == 0
    figures = result.json
    assert [f["unit"]["name"] for f in figures] == ["nli_exp", "nli_gelu", "nli_gelu", "nli_silu"]
    for figure in figures:
        check = figure["verification"]
        assert (check["inputs"], check["equal"], check["mismatches"], check["exhaustive"]) == (65536, 65536, 0, True)
        assert figure["samples"][0]["unit"]["max_lsb"] <= figure["error"]["max_lsb"]
        assert figure["placement"]["device"] == "LFE5U-25F"
        assert len(figure["placement"]["fmax_by_seed"]) == 5
        assert figure["placement"]["fmax_mhz"] > 130
        assert figure["placement"]["utilisation"]["TRELLIS_COMB"] < 600
    assert figures[1]["samples"][0]["outside_format"] > 0 == figures[2]["samples"][0]["outside_format"]
    assert sorted(listing(tmp_path / "demo")) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "demo" / "report.json").read_text()) == figures


@pytest.fixture(scope="module")
def measured():
    """The figures of a small unit."""
    return report.gather(NLI.design("silu", Fixed(6, 3), Fixed(6, 3), intervals=3, bins=2), seeds=(1,))


@pytest.fixture
def quick(monkeypatch, measured):
    """The same job, where measuring a unit for a minute is replaced by figures measured once on a small one."""
    real = json.loads(json.dumps(measured))
    jobs = []

    def gather(unit, *, samples, begin):
        jobs.append((unit, samples))
        for step in range(report.STEPS):
            begin(f"step {step}")
        figures = json.loads(json.dumps(real))
        figures["samples"] = [report._on(unit, sample) for sample in samples]
        figures["unit"].update(name=unit.name, sha256=unit.sha256)
        return figures

    monkeypatch.setattr(report, "gather", gather)
    monkeypatch.setattr(NLI, "design", lambda fn, x, y: catalogue.get(fn))
    return jobs, real


def test_the_job_takes_the_catalogues_engines_and_real_activations(quick, tmp_path):
    jobs, real = quick
    result = intsim("demo", "-o", tmp_path / "demo")
    assert result.code == 0
    assert [unit.fn for unit, _ in jobs] == ["exp", "gelu", "gelu", "silu"]
    sizes = [sample.values.size for _, samples in jobs for sample in samples]
    assert sizes == [6 * 12 * 4 * 128, *[6 * 7 * 1536] * 3]
    assert all("MiniLM" in sample.name for _, samples in jobs for sample in samples)
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("RTL = golden model on all") == 4
    assert all(unit.sha256 in page for unit, _ in jobs)
    assert result.out.count("64 of 64") == 4
    real["verification"].update(mismatches=1, equal=63)
    assert intsim("demo", "-o", tmp_path / "demo").code == 1  # one that differs is the verdict of all


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(quick, tmp_path):
    (tmp_path / "file").write_text("")
    result = intsim("demo", "-o", tmp_path / "file" / "demo")
    assert result.code == 2
    assert "choose another path" in result.err
    assert quick[0] == []
