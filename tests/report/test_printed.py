"""The printed report: nothing is called proved that was not, the same input is the same bytes, bad input is refused."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import attrs
import pytest

import symconv
from symconv.app.main import main
from symconv.errors import UsageError
from symconv.report.corpus import package, prove_record
from symconv.report.printed import record
from symconv.report.printed.figures import FIGURES, figures, operator_cells
from symconv.report.printed.mathematics import number
from symconv.report.printed.record import Standing, fresh, read_theorems, read_verdict, status
from symconv.report.printed.report import report, write
from symconv.report.printed.rocq import machine_checked
from symconv.report.printed.theorems import counterexample

NAMES = ("one-by-one", "dilation")


@pytest.fixture(scope="module")
def theorems():
    return [package().load(name) for name in NAMES]


@pytest.fixture(scope="module")
def proved(theorems):
    """What `symconv prove` finds, as results."""
    prove = importlib.import_module(f"{package().__name__}.run").prove
    return {theorem.name: prove(theorem) for theorem in theorems}


@pytest.fixture(scope="module")
def results(proved):
    return {name: fresh(result) for name, result in proved.items()}


@pytest.fixture
def saved(theorems, proved, tmp_path):
    """The file that `symconv prove --json` writes."""
    path = tmp_path / "proofs.json"
    path.write_text(json.dumps(prove_record(theorems, proved)))
    return path


def markdown(theorems, results, verdicts=()):
    return write(report(theorems, results, verdicts), ".md").decode()


def test_a_proved_theorem_in_full(theorems, results):
    text = markdown(theorems, results)
    assert "**2 of 2 theorems proved; 3 of 3 false twins refuted**" in text
    for wanted in (
        r"$\operatorname{min} (k , s / \operatorname{gcd} (d , s))$ phases",  # the title of `dilation`, set
        "Z3 proved all 9; cvc5 proved all 9.",
        "✗ False twin: dilation ignored",
        "**Smallest counterexample:**",
        "proofs/smt2/dilation.*.smt2",
        "`phase_count`, `phase_not_hit_zero`, `phase_hit_nonzero` in Dilation.v",
        "not run in making this report",
    ):
        assert wanted in text


def test_without_results_nothing_is_proved(theorems):
    text = markdown(theorems, {})
    assert "**0 of 2 theorems proved, 2 not run; 0 of 3 false twins refuted**" in text
    assert "✓" not in text
    assert "✗" not in text
    assert "what the solvers proved" not in text


@pytest.mark.parametrize("suffix", [".md", ".html", ".pdf"])
def test_same_input_same_bytes(suffix, theorems, results):
    """In one process, and in another one with other seeds for hashes."""
    here = write(report(theorems, results, ()), suffix)
    assert here == write(report(theorems, results, ()), suffix)
    assert len(here) > 5000
    if suffix == ".pdf":
        assert here.startswith(b"%PDF-1.7")
        assert b"CreationDate" not in here


def test_another_process_writes_the_same_bytes(saved, tmp_path):
    for suffix in ("html", "pdf"):
        made = []
        for seed in ("1", "2"):
            out = tmp_path / f"{seed}.{suffix}"
            command = [sys.executable, "-m", "symconv", "report", str(saved), "-o", str(out)]
            subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"})
            made.append(out.read_bytes())
        assert made[0] == made[1]


class Page(HTMLParser):
    """Addresses, anchors and open tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors, self.open = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        held = dict(attrs)
        self.addresses += [held[key] for key in ("src", "href") if key in held]
        self.anchors |= {held["id"]} if "id" in held else set()
        if tag not in ("meta", "img", "mspace", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "mspace":
            assert self.open.pop() == tag


def test_html_fetches_nothing(theorems, results):
    text = write(report([package().load("transpose"), *theorems], results, ()), ".html").decode()
    page = Page(text)
    assert not page.open
    assert any(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    for address in page.addresses:
        assert address.startswith("data:") or (address[0] == "#" and address[1:] in page.anchors), address
    assert not re.search(r"@import|url\(|<script|<link", text)


def test_saved_results_and_their_times(theorems, results, proved, saved):
    held = read_theorems(saved, json.loads(saved.read_text()), {item.name: item for item in theorems})
    assert {name: status(item, held[name]) for name, item in zip(NAMES, theorems, strict=True)} == dict.fromkeys(NAMES, "proved")
    text = markdown(theorems, held)
    assert f"| {proved['dilation'].seconds:.1f} |" in text
    assert "Seconds are those of proofs.json." in text
    assert "they were not found again in making this report" in text
    assert "proofs.json" not in markdown(theorems, results).split("How to check it again")[0]


def change(saved, alter):
    held = json.loads(saved.read_text())
    alter(held["theorems"][1])
    return held


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda item: item["checks"].pop(0), "proved"),  # Z3's word on a step that cvc5 proved
        (lambda item: item.update(checks=[c for c in item["checks"] if c["part"] != "Bezout"]), "not run"),
        (lambda item: item.update(checks=[c for c in item["checks"] if c["backend"] != "twin"]), "not run"),
        (lambda item: item["checks"][3].update(outcome="failed"), "failed"),
        (lambda item: item["checks"][3].update(outcome="unsat"), "failed"),
        (lambda item: item["checks"][1].update(outcome="refuted"), "failed"),  # a step is to be proved, a twin refuted
        (lambda item: item["twins"][0]["counterexample"].update(replayed=False), "not run"),
        (lambda item: item["twins"][0].update(counterexample=None), "not run"),
        (lambda item: item.update(outcome="failed"), "proved"),  # the summary is not believed in either direction
    ],
)
def test_a_record_is_judged_by_its_parts(alter, told, theorems, saved):
    held = read_theorems(saved, change(saved, alter), {item.name: item for item in theorems})
    assert status(theorems[1], held["dilation"]) == told
    assert ("**2 of 2 theorems proved" in markdown(theorems, held)) == (told == "proved")


@pytest.mark.parametrize(
    "alter",
    [
        lambda item: item.update(title="Exactly k phases an axis see any tap."),
        lambda item: item["statement"].pop(),
        lambda item: item["checks"][0].update(part="another step"),
        lambda item: item.update(name="delation"),
        lambda item: item.pop("seconds"),
        lambda item: item["twins"][0].update(bend="min(k, s + 1) phases see a tap"),
        lambda item: item["twins"][0]["counterexample"].update(replayed="no"),
    ],
)
def test_a_record_of_another_corpus_is_refused(alter, theorems, saved):
    with pytest.raises(UsageError, match="prove --json"):
        read_theorems(saved, change(saved, alter), {item.name: item for item in theorems})


def test_a_theorem_that_stands_twice_is_refused(theorems, saved):
    held = change(saved, lambda item: item["checks"][0].update(outcome="failed"))
    held["theorems"].append(json.loads(saved.read_text())["theorems"][1])
    with pytest.raises(UsageError, match="`dilation` stands there twice"):
        read_theorems(saved, held, {item.name: item for item in theorems})


def test_what_pytorch_showed_is_told_as_the_record_s_word(theorems, results, saved):
    held = read_theorems(saved, json.loads(saved.read_text()), {item.name: item for item in theorems})
    assert "in whole numbers, says proofs.json." in markdown(theorems, held)
    assert "in whole numbers." in markdown(theorems, results)


def test_a_solver_that_is_missing_is_named(theorems, results):
    found = results["dilation"]
    checks = [attrs.evolve(c, outcome="not run", detail="cvc5 is not installed") if c.backend == "cvc5" else c for c in found.checks]
    text = markdown(theorems[1:], {"dilation": attrs.evolve(found, checks=tuple(checks))})
    assert "Z3 proved all 9; cvc5 was not run." in text
    assert "cvc5 (not run)" in text
    assert "1 of 1 theorem proved" in text


LEFT, RIGHT = "ConvTranspose1d(1, 1, 4, stride=2, padding=1)", "Conv1d(1, 2, 3, padding=1) >> PixelShuffle(2)"


@pytest.fixture(scope="module")
def verdict():
    return json.loads(json.dumps(symconv.check(LEFT, RIGHT, presburger=False).to_dict()))


def test_a_saved_verdict_is_checked_again(verdict):
    held = read_verdict(Path("v.json"), verdict)
    assert held.standing is Standing.ACCEPTED
    text = markdown([], {}, [held])
    assert "1 of 1 verdict certified" in text
    assert "the independent checker accepted the certificate in making this report" in text
    assert "`Conv1d(1, 2, 3, padding=1) >> PixelShuffle(2)`" in text
    assert read_verdict(Path("c.json"), verdict["certificate"]).standing is Standing.ACCEPTED


@pytest.mark.parametrize(
    "alter",
    [
        lambda held: held.update(relation="equal"),
        lambda held: held.update(left=RIGHT),
        lambda held: held.update(left="ConvTranspose1d(1, 1, 4, stride=2, padding=2)"),
        lambda held: held.update(left="no layer"),
        lambda held: held["dimension"].update(left=6),
        lambda held: held.update(domain="left_wider"),
        lambda held: held.update(scope="extents 4"),
        lambda held: held.update(right_in_left=True),
        lambda held: held["witness"]["right_kernel"].update(entries=[]),
        lambda held: held["witness"].update(at=[0, 99]),
        lambda held: held["certificate"]["claim"].update(relation="equal"),
        lambda held: held["certificate"]["left"][0].update(padding=[[2, 2]]),
    ],
)
def test_a_changed_verdict_is_rejected(alter, verdict):
    held = json.loads(json.dumps(verdict))
    alter(held)
    read = read_verdict(Path("v.json"), held)
    assert read.standing is Standing.REJECTED
    text = markdown([], {}, [read])
    assert "0 of 1 verdict certified, 1 rejected" in text
    assert "certified: the independent checker accepted" not in text


def test_what_only_the_record_says_is_left_out(verdict):
    held = json.loads(json.dumps(verdict))
    held.update(dead_taps={"left": [[1, 2]], "right": [[]]}, cutoff=4711, deciders={"presburger": "agrees"}, parameters={"left": 99})
    assert markdown([], {}, [read_verdict(Path("v.json"), held)]) == markdown([], {}, [read_verdict(Path("v.json"), verdict)])


def test_without_a_certificate_nothing_vouches(verdict):
    held = read_verdict(Path("v.json"), verdict | {"certificate": None})
    assert held.standing is Standing.NOTHING
    assert "0 of 1 verdict certified, 1 without a certificate" in markdown([], {}, [held])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one-by-one", "-o", "x.txt"], "must end in .md, .html or .pdf"),
        (["one-by-one", "-o", "there.md"], "already exists"),
        (["one-by-one", "-o", "no/folder/x.md"], "there is no folder"),
        (["one-by-two", "-o", "x.md"], "Did you mean `one-by-one`?"),
        (["none.json", "-o", "x.md"], "cannot be read"),
        (["there.md", "-o", "x.md"], "is not valid JSON"),
        (["other.json", "-o", "x.md"], "must be what `symconv prove`"),
        (["broken.json", "-o", "x.md"], "must be what `symconv prove --json` prints"),
        (["one-by-one"], "Missing option"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there.md").write_text("here")
    Path("other.json").write_text('{"schema": "symconv.explain/1"}')
    Path("broken.json").write_text('{"schema": "symconv.prove/1", "theorems": [{"name": "dilation"}]}')
    assert main(["report", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("x.md").exists()
    assert Path("there.md").read_text() == "here"


def test_command(saved, verdict, tmp_path, capsys):
    out = tmp_path / "report.md"
    assert main(["report", str(saved), "-o", str(out)]) == 0
    assert "2 of 2 theorems proved; 3 of 3 false twins refuted" in capsys.readouterr().out
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(verdict | {"relation": "equal"}))
    assert main(["report", str(saved), str(changed), "-o", str(out), "--force"]) == 4
    assert "1 rejected" in " ".join(capsys.readouterr().out.split())
    changed.write_text(json.dumps(change(saved, lambda item: item["checks"][3].update(outcome="failed"))))
    assert main(["report", str(changed), "-o", str(out), "--force"]) == 1
    changed.write_text(json.dumps(change(saved, lambda item: item.update(checks=[]))))
    assert main(["report", str(changed), "-o", str(out), "--force"]) == 3


@pytest.mark.parametrize("missing", ["typst", "matplotlib"])
def test_a_missing_package_is_named_before_anything_is_proved(missing, tmp_path, monkeypatch, capsys):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else found(name, *rest))
    assert main(["report", "one-by-one", "-o", str(tmp_path / "x.pdf")]) == 2
    told = capsys.readouterr().err
    assert f"`{missing}`" in told
    assert "pip install 'symconv[report]'" in told


def test_markdown_and_check_need_neither_typst_nor_matplotlib(tmp_path):
    script = (
        "import sys; from symconv.app.main import main; "
        "main(['report', 'orders', '-o', 'x.md']); seen = {'typst', 'matplotlib'} & set(sys.modules); sys.exit(len(seen))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())}).returncode == 0
    script = "import sys, symconv.app.check, symconv.app.main; sys.exit('symconv.report.printed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, env={"PYTHONPATH": str(Path.cwd())}).returncode == 0


def test_figures_are_of_theorems_that_there_are():
    assert set(FIGURES) <= set(package().NAMES)
    for name in FIGURES:
        for figure in figures(name):
            assert figure.draw() == figure.draw()
            assert figure.alternative


def test_the_note_s_matrix_and_its_transpose():
    rows, columns, cells = operator_cells("Conv1d(1, 1, 4, stride=2, padding=2, bias=False)", 8)
    assert (rows, columns) == (5, 8)
    assert cells == {(o, 2 * o + t - 2): t for o in range(5) for t in range(4) if 0 <= 2 * o + t - 2 < 8}
    back = operator_cells("ConvTranspose1d(1, 1, 4, stride=2, padding=2, bias=False)", 5)
    assert back == (8, 5, {(i, o): tap for (o, i), tap in cells.items()})


def test_counterexamples_set_matrices():
    text = counterexample("k=1: Conv1d(1, 1, 2, stride=1, dilation=1, bias=False) gives [[1], [-2]], taps [[1], []]: left_in_right")
    (matrix,) = [span.node for span in text if hasattr(span, "node") and hasattr(span.node, "rows")]
    assert matrix.rows[0] == (number("1"),)
    assert any(getattr(span, "text", "") == "Conv1d(1, 1, 2, bias=False)" for span in text)
    assert any("left in right, strictly" in getattr(span, "text", "") for span in text)


def test_rocq_s_list_is_read():
    held = machine_checked()
    assert len(held) > 20
    assert {"universal_lowering", "universal_lowering_extent"} <= {lemma for row in held for lemma in row.lemmas if 4 in row.claims}
    folder = Path(package().__file__).parent / "rocq"
    assert all((folder / row.file).exists() for row in held)


def test_every_part_of_every_theorem_is_told():
    """What a record must have is what `symconv prove` runs."""
    for theorem in package().corpus():
        pairs = {pair for held in record.parts(theorem).values() for pair in held}
        assert {backend for backend, _ in pairs} == {*theorem.backends, *(("twin",) if theorem.twins else ())}


@pytest.mark.slow
def test_the_whole_corpus(tmp_path):
    proofs = tmp_path / "proofs.json"
    with proofs.open("w") as stream:
        subprocess.run([sys.executable, "-m", "symconv", "prove", "--all", "--json"], check=True, stdout=stream)
    for suffix in ("md", "html", "pdf"):
        assert main(["report", str(proofs), "-o", str(tmp_path / f"report.{suffix}")]) == 0
    text = (tmp_path / "report.md").read_text()
    for name in package().NAMES:
        assert f'<a id="{name}"></a>' in text
    assert "A false belief." in text
    assert text.index("Is the deconvolution layer the same") < text.index("Contents")
    if shutil.which("pdftotext"):
        made = subprocess.run(["pdftotext", "-bbox", str(tmp_path / "report.pdf"), "-"], check=True, capture_output=True, text=True).stdout
        boxes = [tuple(map(float, found)) for found in re.findall(r'xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)"', made)]
        assert len(boxes) > 10_000
        margin = 70.8 - 4  # a comma may hang over the edge
        assert all(margin <= left and right <= 595.3 - margin and top >= 20 and bottom <= 822 for left, top, right, bottom in boxes)


def test_measured_results_are_a_chapter_that_claims_no_proof(tmp_path: Path) -> None:
    results = Path(__file__).parents[2] / "docs" / "evidence" / "representation-power.json"
    texts = []
    for form in ("md", "html"):
        output = tmp_path / f"power.{form}"
        assert main(["report", str(results), "-o", str(output)]) == 0
        texts.append(output.read_text(encoding="utf-8"))
    assert "Nothing in this chapter is a proof" in texts[0] and "What it rests on" not in texts[0]
    assert texts[1].count("data:image/svg+xml") >= 1 and "http://" not in texts[1].replace("http://www.w3.org", "")


def test_results_of_altered_steps_are_not_believed() -> None:
    theorem = package().load("zero-insertion")
    saved = prove_record([theorem], {})
    first, *rest = theorem.obligations
    altered = attrs.evolve(theorem, obligations=(attrs.evolve(first, given=first.given[1:]), *rest))
    assert read_theorems(Path("saved.json"), saved, {theorem.name: theorem}).keys() == {theorem.name}
    with pytest.raises(UsageError, match="not the one of this version"):
        read_theorems(Path("saved.json"), saved, {theorem.name: altered})
