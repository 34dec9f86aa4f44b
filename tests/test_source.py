"""The document's statements, its reasons and the catalogue as data."""

import itertools
from collections import Counter

import pytest

from dlclaims import pages, source
from dlclaims.claims import KINDS

CLAIMS_PER_PAGE = {
    "depth-vs-width": 8,
    "vanishing-gradient": 10,
    "dropout-overfitting": 13,
    "residual-degradation": 11,
    "lstm-memory": 11,
    "linear-collapse": 6,
    "activation-zoo": 12,
    "init-schemes": 6,
    "batchnorm-mechanism": 7,
    "gradient-clipping-tbptt": 6,
    "adaptive-layer-rates": 4,
    "universal-approximation": 12,
    "backprop-check": 9,
    "weights-and-biases": 7,
    "cnn-inductive-bias": 8,
    "feature-hierarchy": 8,
    "rnn-sequence": 8,
    "attention-order": 10,
    "attention-cost": 7,
    "transformer-gradients": 5,
    "depth-data-tradeoff": 8,
    "local-minima": 4,
    "depth-robustness": 4,
    "interpretability-proxies": 4,
    "curse-of-dimensionality": 5,
    "theory-frameworks": 7,
    "deep-vs-classical": 6,
    "learning-paradigms": 6,
}
# Claims that answer no sentence of the document would be named here; there are none.
CLAIMS_WITHOUT_STATEMENT: set[str] = set()
# Statements that say more than their claims test: a reason stands beside the claims.
PARTLY_TESTABLE = {"q01-03", "q01-16"}


def test_document_answers_fifteen_of_the_eighty_questions_in_its_title():
    document = source.document()
    assert document.title.startswith(str(document.announced))
    assert [question.number for question in source.questions()] == list(range(1, 16))
    assert document.answered == len(source.questions())


def test_catalogue_holds_212_claims_on_28_pages():
    entries = source.catalogue()
    assert Counter(entry.page for entry in entries) == CLAIMS_PER_PAGE
    assert list(CLAIMS_PER_PAGE) == [page.name for page in source.planned_pages()]
    assert len({entry.id for entry in entries}) == 212


def test_claim_ids_of_a_page_share_a_prefix_that_tells_the_page():
    pages: dict[str, set[str]] = {}
    for entry in source.catalogue():
        pages.setdefault(entry.id.split("-")[0], set()).add(entry.page)
    # gc and tb are the two halves of one page, clipping and truncation.
    assert all(len(names) == 1 for names in pages.values())
    assert len(pages) == len(CLAIMS_PER_PAGE) + 1


def test_catalogue_names_known_kinds_once_each():
    for entry in source.catalogue():
        assert entry.kinds, entry
        assert set(entry.kinds) <= set(KINDS), entry
        assert len(set(entry.kinds)) == len(entry.kinds), entry


def test_built_pages_make_the_claims_that_the_catalogue_plans():
    for name, file in pages.find([pages.built_in_folder()]).items():
        made = {claim.id: claim.kinds for claim in pages.load(name, file).claims}
        planned = {e.id: e.kinds for e in source.catalogue() if e.page == name}
        assert list(made) == list(planned)
        for claim, kinds in planned.items():
            assert set(kinds) <= set(made[claim]), claim


def test_statement_ids_count_within_their_question():
    counts: Counter[int] = Counter()
    for statement in source.statements():
        counts[statement.question] += 1
        number = f"q{statement.question:02d}-{counts[statement.question]:02d}"
        assert statement.id == number
    assert set(counts) == set(range(1, 16))


def test_questions_and_parts_are_contiguous_and_open_with_the_opening():
    places = [(s.question, s.part) for s in source.statements()]
    runs = [place for place, _ in itertools.groupby(places)]
    assert runs == sorted(runs, key=lambda place: place[0])
    assert len(runs) == len(set(runs))
    first = dict(reversed(runs))
    assert set(first.values()) == {"Opening"}


def test_every_statement_has_claims_or_a_reason_and_both_only_where_listed():
    both = set()
    for statement in source.statements():
        assert statement.claims or statement.reason, statement
        if statement.claims and statement.reason:
            both.add(statement.id)
    assert both == PARTLY_TESTABLE


def test_statements_point_to_known_claims_and_reasons_and_reach_all_of_them():
    claims = {entry.id for entry in source.catalogue()}
    tied = [claim for s in source.statements() for claim in s.claims]
    assert set(tied) == claims - CLAIMS_WITHOUT_STATEMENT
    reasons = [reason.id for reason in source.reasons()]
    assert reasons == [f"U{number}" for number in range(1, 16)]
    assert {s.reason for s in source.statements()} - {None} == set(reasons)
    for statement in source.statements():
        assert len(set(statement.claims)) == len(statement.claims), statement


@pytest.mark.parametrize("read", [source.statements, source.catalogue, source.reasons])
def test_texts_are_single_different_sentences_of_at_most_25_words(read):
    texts = [item.text for item in read()]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert text == " ".join(text.split())
        assert text.endswith("."), text
        assert text[0].isupper(), text
        assert 3 <= len(text.split()) <= 25, text


def test_the_document_is_quoted_wrong_where_it_is_wrong():
    texts = {s.id: s.text for s in source.statements_of("vg-relu-not-immune")}
    assert "ReLU avoids the vanishing-gradient problem." in texts.values()
    (shallow,) = [
        s for s in source.statements_of("lc-shallow-not-linear") if s.question == 7
    ]
    assert shallow.text == "Shallow networks perform linear transformations."


def test_an_unknown_claim_has_no_statements():
    assert source.statements_of("my-own-claim") == ()


def test_coverage_with_nothing_built_counts_only_the_untestable_apart():
    states = dict(Counter(state for _, state in source.coverage(())))
    testable = sum(bool(s.claims) for s in source.statements())
    untestable = len(source.statements()) - testable
    assert states == {"not built yet": testable, "not testable": untestable}


def test_coverage_with_everything_built_leaves_only_the_untestable():
    everything = [entry.id for entry in source.catalogue()]
    for statement, state in source.coverage(everything):
        assert state == ("built" if statement.claims else "not testable")


def test_coverage_is_partial_until_the_last_claim_of_a_statement_is_built():
    statement = next(s for s in source.statements() if len(s.claims) == 3)
    seen = []
    for count in range(4):
        covered = source.coverage([*statement.claims[:count], "my-own-claim"])
        seen.append(dict(covered)[statement])
    assert seen == ["not built yet", "partly built", "partly built", "built"]


def test_coverage_keeps_the_documents_order_and_uses_every_state():
    page = [e.id for e in source.catalogue() if e.page == "vanishing-gradient"]
    covered = source.coverage(page)
    assert tuple(statement for statement, _ in covered) == source.statements()
    assert {state for _, state in covered} == set(source.STATES)
